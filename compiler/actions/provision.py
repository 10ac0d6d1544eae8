"""``provision``: create collections and indexes that are not there."""

from __future__ import annotations

from compiler.actions.meaning import Meaning, Scope, rule_of_thumb
from compiler.model.plan import Category, Inverse, Json
from compiler.source.tree import MappingNode

METRICS = ("cosine", "l2", "ip")


def provision(node: MappingNode, scope: Scope) -> Meaning | None:
    """See compiler.actions.meaning.Action."""
    collections: list[Json] = []
    writes: list[str] = []
    for item in node.mappings("collections"):
        target = scope.place(item.get("target"))
        if target is None:
            continue
        spec = scope.stores[target.store]
        entry: dict[str, Json] = {"target": target.to_json()}
        if spec.type == "chromadb":
            for key in ("indexes", "options"):
                if key in item:
                    scope.report(
                        "store-cannot",
                        item.key_span(key),
                        f"'{target.store}' is a chromadb store, which has no {key}",
                    )
            for key in ("metric", "dimension"):
                value = item.get(key)
                entry[key] = value.plain() if value is not None else spec.options.get(key)
            entry["embedding"] = spec.options.get("embedding")
        else:
            for key in ("metric", "dimension"):
                if key in item:
                    scope.report(
                        "store-cannot",
                        item.key_span(key),
                        f"'{target.store}' is a {spec.type} store, which has no {key}",
                    )
            for key in ("indexes", "options"):
                value = item.get(key)
                if value is not None:
                    entry[key] = _ordered(value.plain()) if key == "indexes" else value.plain()
        collections.append(entry)
        writes.append(str(target))
    if not collections:
        return None
    return Meaning(
        params={"collections": collections},
        writes=tuple(sorted(set(writes))),
        inverse=Inverse(
            summary="drop the collections and indexes that it created, where nobody put data in since",
            safe_when_absent=True,
        ),
        category=Category.DATA,
        idempotent=True,
        estimate=rule_of_thumb(5.0),
    )


def _ordered(indexes: Json) -> Json:
    """Index keys as a list of pairs: their order matters, and canonical JSON sorts the keys of objects."""
    if not isinstance(indexes, list):
        return indexes
    return [
        {**item, "keys": [[name, way] for name, way in item["keys"].items()]}
        if isinstance(item, dict) and isinstance(item.get("keys"), dict)
        else item
        for item in indexes
    ]
