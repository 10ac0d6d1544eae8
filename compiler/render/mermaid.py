"""A plan as a Mermaid flowchart, for Markdown pages and pull requests.

The language: https://mermaid.js.org/syntax/flowchart.html. All text stands in quoted labels in which
every character that could mean anything to Mermaid, Markdown or HTML is a numeric entity (``#60;``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from compiler.model.plan import CompiledPlan
from compiler.render.colours import CRITICAL, colours
from compiler.render.picture import Arrow, Cluster, Look, Node, Picture, picture_of

_MOST_CHARACTERS = 50_000
_MOST_ARROWS = 500
"""What Mermaid refuses to draw by default: its options ``maxTextSize`` and ``maxEdges``."""

_FRAMES = {
    Look.STEP: ("(", ")"),
    Look.PHASE: ("(", ")"),
    Look.CHECK: ("[", "]"),
    Look.PROBE: ("{{", "}}"),
    Look.PERSON: ("[/", "/]"),
}

# ° and ¶ because Mermaid itself rewrites entities to "fl°" and "¶ß" for a while.
_ACTIVE = re.compile(r"[\x00-\x1f!-'*+:-@\[-`{-\x7f°¶]|^-")
_LIST_ITEM = re.compile(r"^(\d+)\.")


def render(plan: CompiledPlan, statuses: Mapping[str, str] | None = None) -> str:
    """The plan's picture in Mermaid, ending in a newline. What Mermaid would refuse to draw for its
    size is drawn by phases."""
    picture = picture_of(plan, statuses)
    text = write(picture)
    if not picture.collapsed and (len(text) > _MOST_CHARACTERS or len(picture.arrows) > _MOST_ARROWS):
        text = write(picture_of(plan, statuses, by_phases=True))
    return text


def write(picture: Picture) -> str:
    """A picture in Mermaid."""
    said = picture.caption[: 2 if picture.collapsed else 1]
    # Mermaid takes the title as text, entities and all, but drops what looks like a tag.
    title = " · ".join([picture.title, *said]).translate({ord("<"): "‹", ord(">"): "›"})
    lines = [
        "---",
        f"title: {json.dumps(title, ensure_ascii=False)}",  # a JSON string is a YAML string
        "---",
        f"flowchart {'LR' if picture.sideways else 'TB'}",
    ]
    for cluster in picture.clusters:
        lines += _cluster(cluster)
    lines += [_arrow(arrow) for arrow in picture.arrows]
    return "\n".join([*lines, *_styles(picture), ""])


def quoted(text: str) -> str:
    """The inside of a Mermaid label that shows ``text`` and nothing else.

    >>> quoted('<b> "1"'), quoted("- a"), quoted("1. a")
    ('#60;b#62; #34;1#34;', '#45; a', '1#46; a')
    """
    active = _ACTIVE.sub(lambda match: f"#{ord(match.group())};", text)
    return _LIST_ITEM.sub(r"\1#46;", active)


def _cluster(cluster: Cluster) -> list[str]:
    nodes = [_node(node) for node in cluster.nodes]
    if not cluster.title:
        return [f"  {node}" for node in nodes]
    frame = f'  subgraph {cluster.key}["{quoted(cluster.title)}"]'
    return [frame, *(f"    {node}" for node in nodes), "  end"]


def _node(node: Node) -> str:
    if node.look is Look.POINT:
        return f'{node.key}((" "))'
    left, right = ("[[", "]]") if node.pivot else _FRAMES[node.look]
    body = "<br/>".join(quoted(line) for line in (node.title, *node.lines, node.text) if line)
    return f'{node.key}{left}"{body}"{right}'


def _arrow(arrow: Arrow) -> str:
    if arrow.guard:
        return f'  {arrow.tail} -. "{quoted(arrow.guard)}" .-> {arrow.head}'
    return f"  {arrow.tail} {'==>' if arrow.critical else '-->'} {arrow.head}"


def _styles(picture: Picture) -> list[str]:
    """One class for each look that occurs. No line may end in a semicolon: Mermaid 11 cuts it off
    together with an entity before it."""
    classes: dict[str, list[str]] = {}
    for node in picture.nodes:
        if node.look is Look.POINT:
            style = "fill:#6e7781,stroke:#6e7781,font-size:1px"
        else:
            fill, border = colours(node)
            width = "3px" if node.critical or node.irreversible else "1px"
            style = f"fill:{fill},stroke:{border},stroke-width:{width},color:{CRITICAL}"
        classes.setdefault(style, []).append(node.key)
    lines: list[str] = []
    frames = [cluster.key for cluster in picture.clusters if cluster.title]
    if frames:
        lines.append(f"  classDef frame fill:#f6f8fa,stroke:#d0d7de,color:{CRITICAL}")
        lines.append(f"  class {','.join(frames)} frame")
    for number, (style, keys) in enumerate(classes.items()):
        lines += [f"  classDef s{number} {style}", f"  class {','.join(keys)} s{number}"]
    return lines
