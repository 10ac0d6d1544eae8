"""The colours of boxes, the same in every picture. Colour is never alone: the words say it too."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.render.picture import Node

STATUS_COLOURS: Mapping[str, tuple[str, str]] = {
    "done": ("#e3f4e6", "#2e7d4f"),
    "failed": ("#fbdedb", "#b3261e"),
    "intended": ("#dfecfb", "#1f6feb"),
    "running": ("#dfecfb", "#1f6feb"),
    "waiting": ("#fff1cc", "#9a6700"),
    "skipped": ("#eeeeee", "#767676"),
}
"""Status word → (fill, border). A word that is not here, such as ``pending``, leaves a box as it is."""

IRREVERSIBLE = ("#fdeeec", "#c62828")
PLAIN = ("#ffffff", "#57606a")
CRITICAL = "#1b1f24"


def colours(node: Node) -> tuple[str, str]:
    """(fill, border): a run's status fills the box, what has no way back is framed in red anyway."""
    fill, border = STATUS_COLOURS.get(node.status, PLAIN)
    if node.irreversible:
        return (fill if node.status in STATUS_COLOURS else IRREVERSIBLE[0]), IRREVERSIBLE[1]
    if node.critical and border == PLAIN[1]:
        return fill, CRITICAL
    return fill, border
