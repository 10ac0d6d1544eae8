"""``backup``: write collections to a folder. It is kept when the run is taken back."""

from __future__ import annotations

from compiler.actions.meaning import NOTHING, Meaning, Scope, rule_of_thumb
from compiler.source.tree import MappingNode


def backup(node: MappingNode, scope: Scope) -> Meaning | None:
    """See compiler.actions.meaning.Action."""
    written = list(node.items("sources")) or [item for item in [node.get("source")] if item is not None]
    sources = [scope.place(item) for item in written]
    known = [source for source in sources if source is not None]
    if not known or len(known) != len(sources):
        return None
    folder = node.text("to")
    return Meaning(
        params={"sources": [source.to_json() for source in known], "to": folder},
        reads=tuple(sorted(str(source) for source in known)),
        writes=(f"file:{folder}",) if folder else (),
        inverse=NOTHING,
        interruptible=True,
        idempotent=True,
        estimate=rule_of_thumb(20.0),
    )
