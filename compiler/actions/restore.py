"""``restore``: bring records from a dump or a backup into a collection."""

from __future__ import annotations

from compiler.actions.meaning import Meaning, Scope, rule_of_thumb
from compiler.diagnostics import did_you_mean
from compiler.model.plan import Inverse
from compiler.source.tree import MappingNode


def restore(node: MappingNode, scope: Scope) -> Meaning | None:
    """See compiler.actions.meaning.Action."""
    into = scope.place(node.get("into"))
    origin = node.text("from")
    if origin is None:
        return None
    if origin.startswith("step:"):
        _check_backup(node, origin.removeprefix("step:"), scope)
    else:
        found = scope.file(node.get("from"))
        if found is None:
            return None
        origin = found
    if into is None:
        return None
    existing = node.text("existing") or "replace"
    return Meaning(
        params={"from": origin, "into": into.to_json(), "existing": existing},
        writes=(str(into),),
        inverse=Inverse(
            summary=f"delete what was created, restore what was overwritten in {into}", safe_when_absent=True
        ),
        interruptible=True,
        idempotent=True,
        estimate=rule_of_thumb(30.0),
    )


def _check_backup(node: MappingNode, task: str, scope: Scope) -> None:
    found = scope.meaning_of(task)
    if found is None:
        if task not in scope.tasks():
            scope.report(
                "unknown-task",
                node.value_span("from"),
                f"there is no task '{task}'",
                did_you_mean(task, scope.tasks()),
            )
    elif found[0] != "backup":
        scope.report(
            "store-cannot",
            node.value_span("from"),
            f"'{task}' is a {found[0]} task; restore takes what a backup task wrote, or a file",
        )
