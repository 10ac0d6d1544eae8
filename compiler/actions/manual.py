"""``manual``: a person does it, and confirms."""

from __future__ import annotations

from compiler.actions.meaning import Meaning, Scope, rule_of_thumb
from compiler.model.plan import Category, Inverse
from compiler.source.tree import MappingNode


def manual(node: MappingNode, scope: Scope) -> Meaning | None:  # noqa: ARG001 - the shape of every action
    """See compiler.actions.meaning.Action."""
    instructions = node.text("instructions")
    undo = node.text("undo")
    if instructions is None:
        return None
    inverse = None
    if undo is not None:
        # A person who reads "take it back" where there is nothing to take back says so and confirms.
        inverse = Inverse(summary=f"by hand: {undo}", safe_when_absent=True)
    return Meaning(
        params={"instructions": instructions, "undo": undo},
        inverse=inverse,
        category=Category.CONFIGURATION,
        estimate=rule_of_thumb(600.0),
    )
