"""``health``: something must answer, and well."""

from __future__ import annotations

from compiler.actions.meaning import NOTHING, Meaning, Scope, rule_of_thumb
from compiler.diagnostics import did_you_mean
from compiler.model.plan import Category, Json
from compiler.source.tree import MappingNode


def health(node: MappingNode, scope: Scope) -> Meaning | None:
    """See compiler.actions.meaning.Action."""
    store = node.text("store")
    if store is not None and store not in scope.stores:
        scope.report(
            "unknown-store",
            node.value_span("store"),
            f"there is no store '{store}'",
            did_you_mean(store, scope.stores),
        )
        return None
    within = scope.seconds(node.get("within"), "s")
    every = scope.seconds(node.get("every"), "s")
    params: dict[str, Json] = {
        "within": 30.0 if within is None else within,
        "every": 1.0 if every is None else every,
    }
    for key in ("store", "http", "tcp", "command", "status"):
        value = node.get(key)
        if value is not None:
            params[key] = value.plain()
    return Meaning(
        params=params,
        reads=(store,) if store else (),
        inverse=NOTHING,
        category=Category.CHECK,
        interruptible=True,
        idempotent=True,
        estimate=rule_of_thumb(2.0),
    )
