"""A plan as Graphviz's DOT: a cluster a phase, and nothing that a viewer could follow or run.

The language: https://graphviz.org/doc/info/lang.html. Labels are quoted strings, never HTML-like ones,
and none of ``URL``, ``href``, ``tooltip`` and ``image`` is ever written.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from compiler.model.plan import CompiledPlan
from compiler.render.colours import CRITICAL, colours
from compiler.render.label import columns
from compiler.render.picture import LINE, Arrow, Cluster, Look, Node, Picture, picture_of

_ESCAPES = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "&": "&amp;", "<": "&lt;", ">": "&gt;", "\n": " ", "\r": " ", "\x00": ""}
)


def render(plan: CompiledPlan, statuses: Mapping[str, str] | None = None) -> str:
    """The plan's picture in DOT, ending in a newline."""
    return write(picture_of(plan, statuses))


def write(picture: Picture) -> str:
    """A picture in DOT."""
    lines = [
        "digraph plan {",
        f"  rankdir={'LR' if picture.sideways else 'TB'};",
        "  graph [fontname=Arial, fontsize=14, labelloc=t, labeljust=l, bgcolor=white,"
        " nodesep=0.28, ranksep=0.42, pad=0.25];",
        '  node [shape=box, fontname=Arial, fontsize=12, margin="0.16,0.10"];',
        '  edge [color="#6e7781", penwidth=1.1, arrowsize=0.7, fontname=Arial, fontsize=10];',
        f"  label={_block([picture.title, *picture.caption, ' '])};",
    ]
    for cluster in picture.clusters:
        lines += _cluster(cluster, picture.sideways)
    lines += [_arrow(arrow) for arrow in picture.arrows]
    return "\n".join([*lines, "}", ""])


def quoted(text: str) -> str:
    r"""A DOT string that shows ``text`` and nothing else.

    >>> print(quoted('a "b" \\N &lt;'))
    "a \"b\" \\N &amp;lt;"
    """
    return f'"{text.translate(_ESCAPES)}"'


def _block(lines: Sequence[str]) -> str:
    """Lines of text, set to the left."""
    return '"' + "".join(quoted(line)[1:-1] + "\\l" for line in lines if line) + '"'


def _cluster(cluster: Cluster, sideways: bool) -> list[str]:
    nodes = [_node(node) for node in cluster.nodes]
    if not cluster.title:
        return [f"  {node}" for node in nodes]
    if sideways:
        nodes.reverse()  # Graphviz stacks the nodes of a cluster from the bottom
    return [
        f"  subgraph cluster_{cluster.key} {{",
        f"    label={_block([cluster.title])}; fontsize=13;",
        '    style="rounded,filled"; color="#d0d7de"; fillcolor="#f6f8fa"; margin=12;',
        *(f"    {node}" for node in nodes),
        "  }",
    ]


def _node(node: Node) -> str:
    if node.look is Look.POINT:
        return f'{node.key} [shape=point, width=0.07, color="#6e7781", label=""];'
    fill, border = colours(node)
    style = {Look.PERSON: "filled", Look.PROBE: "rounded,filled,dashed"}.get(node.look, "rounded,filled")
    lines = [*node.lines, *textwrap.wrap(node.text, LINE, max_lines=2, placeholder="…")]
    attributes = [
        f"label={_block([node.title, *lines])}",
        f"width={_width(node.title, lines):.2f}",
        f'style="{style}"',
        f'fillcolor="{fill}"',
        f'color="{border}"',
        f"penwidth={2.2 if node.critical or node.irreversible else 1.1}",
    ]
    if node.look is Look.PERSON:
        attributes.append("shape=note")
    if node.pivot:
        attributes.append("peripheries=2")
    return f"{node.key} [{', '.join(attributes)}];"


def _width(title: str, lines: Sequence[str]) -> float:
    """The least width in inches. Graphviz measures a label too, but not the bold title that the SVG
    shows, and it takes East Asian letters for narrow ones."""
    wide = [6.4 * columns(line) for line in lines if columns(line) > len(line)]
    return (max([7.0 * columns(title), *wide]) + 24) / 72


def _arrow(arrow: Arrow) -> str:
    attributes: list[str] = []
    if arrow.critical:
        attributes += [f'color="{CRITICAL}"', "penwidth=2.6"]
    if arrow.guard:
        attributes += ["style=dashed", f"label={quoted(' ' + arrow.guard + ' ')}"]
    options = f" [{', '.join(attributes)}]" if attributes else ""
    return f"  {arrow.tail} -> {arrow.head}{options};"
