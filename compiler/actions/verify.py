"""``verify``: compare what is in a target with what should be there."""

from __future__ import annotations

from compiler.actions.bulk import where
from compiler.actions.meaning import NOTHING, Meaning, Scope, rule_of_thumb
from compiler.diagnostics import did_you_mean
from compiler.model.plan import Category, Json
from compiler.source.tree import MappingNode, ScalarNode

CHECKS = ("counts", "records", "vectors")


def verify(node: MappingNode, scope: Scope) -> Meaning | None:
    """See compiler.actions.meaning.Action."""
    return _of_task(node, scope) if "task" in node else _of_target(node, scope)


def _of_task(node: MappingNode, scope: Scope) -> Meaning | None:
    task = node.text("task")
    if task is None:
        return None
    found = scope.meaning_of(task)
    if found is None:
        if task not in scope.tasks():
            scope.report(
                "unknown-task",
                node.value_span("task"),
                f"there is no task '{task}'",
                did_you_mean(task, scope.tasks()),
            )
        return None
    kind, bulk = found
    if kind != "bulk":
        scope.report(
            "store-cannot",
            node.value_span("task"),
            f"'{task}' is a {kind} task; verify compares what a bulk task wrote",
        )
        return None
    has_vectors = bulk.params.get("vectors") is not None
    checks = [text for text, _ in node.texts("checks")]
    if not checks:
        checks = [check for check in CHECKS if check != "vectors" or has_vectors]
    if "vectors" in checks and not has_vectors:
        scope.report(
            "cannot-fail",
            node.value_span("checks"),
            f"'{task}' writes no vectors, so that the check 'vectors' could not fail",
            "Leave it out.",
        )
    sample = node.get("sample")
    params: dict[str, Json] = {
        "bulk": {**bulk.params, "taskId": task},
        "checks": list(checks),
        "sample": sample.value if isinstance(sample, ScalarNode) and sample.value is not None else 100,
    }
    return Meaning(
        params=params,
        reads=tuple(sorted({*bulk.reads, *bulk.writes})),
        inverse=NOTHING,
        category=Category.CHECK,
        interruptible=True,
        idempotent=True,
        estimate=rule_of_thumb(30.0),
    )


def _of_target(node: MappingNode, scope: Scope) -> Meaning | None:
    target = scope.place(node.get("target"))
    count = node.mapping("count")
    if count is None or not count.entries:
        scope.report(
            "cannot-fail",
            node.key_span("target"),
            "this verify expects nothing, so that it could not fail",
            "Add 'count: {equals: …}', or 'min' and 'max'.",
        )
    if target is None:
        return None
    return Meaning(
        params={
            "target": target.to_json(),
            "where": where(node, scope),
            "count": count.plain() if count is not None else {},
        },
        reads=(str(target),),
        inverse=NOTHING,
        category=Category.CHECK,
        interruptible=True,
        idempotent=True,
        estimate=rule_of_thumb(5.0),
    )
