"""``bulk``: copy a collection, with or without a transform, into MongoDB, ChromaDB or both as one unit."""

from __future__ import annotations

from compiler.actions.meaning import Meaning, Place, Scope, rule_of_thumb, same_place
from compiler.model.plan import Inverse, Json, JsonObject
from compiler.source.tree import MappingNode, ScalarNode, SequenceNode

BATCH_RECORDS = 1000
BATCH_BYTES = 3_000_000
MEMORY = 512_000_000
WRITERS = 2


def bulk(node: MappingNode, scope: Scope) -> Meaning | None:
    """See compiler.actions.meaning.Action."""
    source = scope.place(node.get("source"))
    targets = [scope.place(item) for item in node.items("targets")]
    known = [target for target in targets if target is not None]
    if source is not None:
        _check_source(node, source, scope)
    roles = _roles(node, known, scope)
    transform = scope.transform(node.get("transform"))
    if source is None or roles is None or len(known) != len(targets):
        return None
    records, vectors = roles
    mode = _mode(records, vectors, transform)
    if vectors is not None:
        _check_content(node, transform, scope)
    here = same_place(scope.stores, str(source))
    if here in {same_place(scope.stores, str(target)) for target in known}:
        scope.report(
            "same-place",
            node.value_span("targets"),
            f"'{source}' is both source and target",
            "Copy into another collection.",
        )
    vector_options: JsonObject = scope.stores[vectors.store].options if vectors else {}
    params: dict[str, Json] = {
        "source": source.to_json(),
        "mode": mode,
        "records": records.to_json() if records else None,
        "vectors": vectors.to_json() if vectors else None,
        "transform": transform,
        "embedding": vector_options.get("embedding"),
        "metric": vector_options.get("metric"),
        "dimension": vector_options.get("dimension"),
        "where": where(node, scope),
        "batchSize": _number(node, "batchSize", BATCH_RECORDS),
        "batchBytes": scope.size(node.get("batchBytes"), "B") or BATCH_BYTES,
        "maxConcurrency": _number(node, "maxConcurrency", WRITERS),
        "workers": _plain(node, "workers"),
        "errorThreshold": _threshold(node),
        "maxRetries": _number(node, "maxRetries", 3),
        "retryDelay": _or(scope.seconds(node.get("retryDelay"), "ms"), 1.0),
        "memoryLimit": scope.size(node.get("memoryLimit"), "MB") or MEMORY,
        "existing": _plain(node, "existing") or "replace",
        "storeDocuments": node.flag("storeDocuments"),
    }
    return Meaning(
        params=params,
        reads=(str(source),),
        requires=(str(source),),
        writes=tuple(sorted(str(target) for target in known)),
        inverse=Inverse(
            summary="delete what was created, restore what was overwritten in "
            + " and ".join(str(target) for target in known),
            safe_when_absent=True,
        ),
        interruptible=True,
        idempotent=True,
        estimate=rule_of_thumb(60.0),
    )


def _check_source(node: MappingNode, source: Place, scope: Scope) -> None:
    kind = scope.stores[source.store].type
    if kind != "mongodb":
        scope.report(
            "store-cannot",
            node.value_span("source"),
            f"'{source.store}' is a {kind} store, and bulk reads from mongodb stores",
        )


def _roles(node: MappingNode, targets: list[Place], scope: Scope) -> tuple[Place | None, Place | None] | None:
    """(records' target, vectors' target)."""
    of_type: dict[str, list[Place]] = {"mongodb": [], "chromadb": []}
    for target in targets:
        of_type.setdefault(scope.stores[target.store].type, []).append(target)
    for kind, places in of_type.items():
        if len(places) > 1:
            scope.report(
                "store-cannot",
                node.value_span("targets"),
                f"two targets are {kind} collections: {', '.join(map(str, places))}",
                "Use at most one mongodb and one chromadb target; a second copy is a task of its own.",
            )
            return None
    if not targets:
        return None
    records, vectors = of_type["mongodb"], of_type["chromadb"]
    return (records[0] if records else None, vectors[0] if vectors else None)


def _mode(records: Place | None, vectors: Place | None, transform: JsonObject | None) -> str:
    if vectors is not None:
        return "unified" if records is not None else "vectors"
    return "copy" if transform is None else "documents"


def _check_content(node: MappingNode, transform: JsonObject | None, scope: Scope) -> None:
    if transform is None and "transform" not in node:
        scope.report(
            "no-content",
            node.key_span("targets"),
            "a chromadb target needs a transform whose 'content' part says what the text of a record is",
            "Add 'transform:' with 'content: {type: …, text: …}'.",
        )
    elif transform is not None and "content" not in transform:
        scope.report(
            "no-content",
            node.value_span("transform"),
            "the transform has no 'content' part, which a chromadb target needs",
            "Add 'content: {type: …, text: …}' to the transform.",
        )


def _threshold(node: MappingNode) -> JsonObject:
    written = _plain(node, "errorThreshold")
    if isinstance(written, dict):
        return {"rate": written.get("rate"), "count": written.get("count")}
    return {"rate": written if written is not None else 0, "count": None}


def where(node: MappingNode, scope: Scope) -> Json:
    """The filter of an action. Equality with a whole subdocument depends on the order of its keys, which
    a compiled plan does not keep, so that it is refused."""
    root = node.get("where")
    stack = [root] if root is not None else []
    while stack:
        item = stack.pop()
        if isinstance(item, SequenceNode):
            stack.extend(item.items)
        elif isinstance(item, MappingNode):
            keys = [key for key in item.entries if not key.startswith("$")]
            if item is not root and len(item.entries) > 1 and keys:
                scope.report(
                    "ambiguous-filter",
                    item.span,
                    "a filter by a whole subdocument depends on the order of its keys",
                    f"Filter by its fields: '<field>.{keys[0]}: …'.",
                )
            stack.extend(entry.value for entry in item)
    return root.plain() if root is not None else None


def _plain(node: MappingNode, key: str) -> Json:
    value = node.get(key)
    return value.plain() if value is not None else None


def _number(node: MappingNode, key: str, default: int) -> int:
    value = node.get(key)
    return value.value if isinstance(value, ScalarNode) and isinstance(value.value, int) else default


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
