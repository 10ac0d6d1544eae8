"""``script``: run a file that lies beside the plan, and whose bytes the plan is bound to."""

from __future__ import annotations

from compiler.actions.meaning import Meaning, Scope, rule_of_thumb
from compiler.model.plan import Category, Inverse, Json
from compiler.source.tree import MappingNode


def script(node: MappingNode, scope: Scope) -> Meaning | None:
    """See compiler.actions.meaning.Action."""
    path = scope.file(node.get("path"))
    params: dict[str, Json] = {"path": path}
    for key in ("undo", "probe"):
        params[key] = scope.file(node.get(key)) if key in node else None
    for key, default in (
        ("args", []),
        ("undoArgs", []),
        ("env", {}),
        ("interpreter", None),
        ("safeWhenAbsent", False),
    ):
        value = node.get(key)
        params[key] = value.plain() if value is not None else default
    if path is None:
        return None
    inverse = None
    if params["undo"] is not None:
        inverse = Inverse(
            summary=f"run {params['undo']}",
            safe_when_absent=params["safeWhenAbsent"] is True,
            probed=params["probe"] is not None,
        )
    return Meaning(
        params=params, inverse=inverse, category=Category.CONFIGURATION, estimate=rule_of_thumb(30.0)
    )
