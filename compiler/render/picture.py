"""What a picture of a plan shows, before any format's syntax: nodes, clusters, arrows, captions.

Mermaid and DOT write the same :class:`Picture` down. All its text has been through
:func:`~compiler.render.label.label`; its keys (``n0``, ``c0``) are made here and never come from a plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from compiler.model.plan import CompiledPlan, PlanKind, Step, Verb
from compiler.render import graph
from compiler.render.collapse import Box, boxes_of
from compiler.render.doing import does, guarded, role, task, verdicts
from compiler.render.label import label
from compiler.render.words import duration, estimated, plural, short_digest

MOST = 300
"""Beyond so many steps a picture shows phases instead of steps, and beyond so many phases the rest of
them is only counted: nobody reads more, and laying it out takes minutes."""

LINE = 42
"""Characters a line in a box."""


class Look(StrEnum):
    """How a node is drawn."""

    STEP = "step"
    PERSON = "person"
    PROBE = "probe"
    CHECK = "check"
    PHASE = "phase"
    POINT = "point"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A box: ``title`` in bold, ``lines`` as they are, ``text`` wrapped; ``about`` for those who point at
    it or hear it. ``status`` is a word of the run or empty."""

    key: str
    look: Look
    title: str = ""
    lines: tuple[str, ...] = ()
    text: str = ""
    about: str = ""
    irreversible: bool = False
    pivot: bool = False
    critical: bool = False
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Nodes in a frame with a title; a title of "" means no frame."""

    key: str
    title: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """From ``tail`` to ``head``, keys of nodes. ``guard`` names the verdicts that let ``head`` run."""

    tail: str
    head: str
    critical: bool = False
    guard: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """``title`` and ``caption`` (lines) stand above the graph; ``sideways`` says that it reads better
    from left to right."""

    title: str
    caption: tuple[str, ...]
    clusters: tuple[Cluster, ...]
    arrows: tuple[Arrow, ...]
    sideways: bool
    collapsed: bool

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(node for cluster in self.clusters for node in cluster.nodes)


def picture_of(
    plan: CompiledPlan, statuses: Mapping[str, str] | None = None, *, by_phases: bool = False
) -> Picture:
    """The picture of a plan or a rollback; one box a phase if that is asked for or there are more
    than ``MOST`` steps.

    ``statuses`` maps step ids to words such as those of ``compiler.model.run.StepStatus``.
    """
    if by_phases or sum(step.verb is not Verb.BARRIER for step in plan.steps) > MOST:
        return _of_boxes(plan, statuses or {})
    return _of_steps(plan, statuses or {})


def heading(plan: CompiledPlan) -> str:
    """What the plan is, in one line."""
    name = label(f"{plan.name} {plan.version}", 72)
    return name if plan.kind is PlanKind.PLAN else f"Rollback of {name}"


def _of_steps(plan: CompiledPlan, statuses: Mapping[str, str]) -> Picture:
    barriers = frozenset(step.id for step in plan.steps if step.verb is Verb.BARRIER)
    links = _links(plan, [step.id for step in plan.steps], graph.edges_of(plan), barriers, plan.critical_path)
    drawn = [step for step in plan.steps if step.id not in barriers or step.id in links.points]
    what = task if plan.kind is PlanKind.ROLLBACK else _kind
    edges = frozenset(links.edges)
    nodes: dict[str, Node] = {}
    for number, step in enumerate(drawn):
        key = f"n{number}"
        if step.id in barriers:
            nodes[step.id] = Node(key=key, look=Look.POINT)
        else:
            # A guard is an arrow's label, or the box says it where the probe is further away.
            distant = step.guard is not None and (step.guard.step, step.id) not in edges
            tags = [what(step), *([guarded(step)] if distant else [])]
            nodes[step.id] = _node(key, step, tags, statuses.get(step.id, ""))
    path = frozenset(plan.critical_path)
    nodes = {name: replace(node, critical=name in path) for name, node in nodes.items()}
    guards = {(step.guard.step, step.id): verdicts(step.guard.verdicts) for step in drawn if step.guard}
    arrows = _arrows(links, nodes, guards)
    shown = [step for step in drawn if step.id not in barriers]
    return Picture(
        title=heading(plan),
        caption=(_figures(plan, len(shown)), *_legend(plan, shown)),
        clusters=_clusters(plan, drawn, nodes),
        arrows=arrows,
        sideways=_sideways([node.key for node in nodes.values()], arrows),
        collapsed=False,
    )


def _of_boxes(plan: CompiledPlan, statuses: Mapping[str, str]) -> Picture:
    boxes, box_of = boxes_of(plan, statuses)
    # A barrier within a phase is part of its box; one between phases stays a point.
    places = {step.id: box_of.get(step.id, step.id) for step in plan.steps}
    left_out = {box.id for box in boxes[MOST:]}
    order = [place for place in dict.fromkeys(places.values()) if place not in left_out]
    points = frozenset(order) - {box.id for box in boxes}
    joined = {(places[before], places[after]) for before, after in graph.edges_of(plan)}
    edges = sorted(edge for edge in joined if left_out.isdisjoint(edge))
    path = list(dict.fromkeys(places[step] for step in plan.critical_path if step in places))
    links = _links(plan, order, edges, points, path)
    by_id = {box.id: box for box in boxes}
    nodes: dict[str, Node] = {}
    for place in order:
        if place in by_id:
            nodes[place] = _box_node(f"n{len(nodes)}", by_id[place])
        elif place in links.points:
            nodes[place] = Node(key=f"n{len(nodes)}", look=Look.POINT)
    arrows = _arrows(links, nodes, {})
    shown = [step for step in plan.steps if step.verb is not Verb.BARRIER]
    said = f"Drawn by phases: {plural(len(shown), 'step')} are too many to draw one by one."
    if left_out:
        said += f" The first {MOST:,} of {len(boxes):,} phases are shown."
    return Picture(
        title=heading(plan),
        caption=(_figures(plan, len(shown)), said, *_legend(plan, shown)),
        clusters=(Cluster(key="c0", title="", nodes=tuple(nodes.values())),),
        arrows=arrows,
        sideways=_sideways([node.key for node in nodes.values()], arrows),
        collapsed=True,
    )


@dataclass(frozen=True, slots=True)
class _Links:
    """The edges to draw, those of them on the critical path, and the barriers that are left to draw."""

    edges: list[graph.Pair]
    critical: frozenset[graph.Pair]
    points: frozenset[str]


def _links(
    plan: CompiledPlan,
    order: Sequence[str],
    edges: Sequence[graph.Pair],
    points: frozenset[str],
    path: Sequence[str],
) -> _Links:
    joined = graph.contract(order, edges, points)
    critical = graph.path_edges(path, joined, points)
    guards = frozenset((step.guard.step, step.id) for step in plan.steps if step.guard)
    drawn = graph.reduce(joined, critical | guards)
    ends = frozenset(end for edge in drawn for end in edge)
    return _Links(drawn, critical, points & ends)


def _arrows(links: _Links, nodes: Mapping[str, Node], guards: Mapping[graph.Pair, str]) -> tuple[Arrow, ...]:
    return tuple(
        Arrow(
            tail=nodes[before].key,
            head=nodes[after].key,
            critical=(before, after) in links.critical,
            guard=guards.get((before, after), ""),
        )
        for before, after in links.edges
    )


def _node(key: str, step: Step, tags: list[str], status: str) -> Node:
    flags = []
    if step.irreversible is not None:
        flags.append("IRREVERSIBLE")
    if step.pivot:
        flags.append("PIVOT")
    tags = [*flags, *tags]
    if step.estimate.high:
        tags.append(duration(step.estimate.likely))
    if status:
        tags.append(label(status, 30))
    text = does(step, 200)
    return Node(
        key=key,
        look=_look(step),
        title=label(step.id, LINE),
        lines=(" · ".join(tags),),
        text=label(text, 2 * LINE),
        about=label(f"{step.id}: {'; '.join(filter(None, (*flags, step.name, text, guarded(step))))}", 400),
        irreversible=step.irreversible is not None,
        pivot=step.pivot,
        status=status,
    )


def _look(step: Step) -> Look:
    looks = {"probe": Look.PROBE, "person": Look.PERSON, "check": Look.CHECK}
    return looks.get(role(step), Look.STEP)


def _kind(step: Step) -> str:
    return label(step.kind, 30)


def _box_node(key: str, box: Box) -> Node:
    took = f" · {duration(box.seconds)}" if box.seconds else ""
    flags = [
        f"{count:,} {word}"
        for count, word in ((box.irreversible, "irreversible"), (box.pivots, "pivot"))
        if count
    ]
    counted = [f"{count:,} {label(word, 30)}" for word, count in box.statuses]
    return Node(
        key=key,
        look=Look.PHASE,
        title=label(box.title, LINE),
        lines=tuple(
            line for line in (", ".join(flags), plural(box.steps, "step") + took, ", ".join(counted)) if line
        ),
        about=label(f"{box.title}: {plural(box.steps, 'step')}", 400),
        irreversible=box.irreversible > 0,
        pivot=box.pivots > 0,
        critical=box.critical,
        status=box.status,
    )


def _clusters(plan: CompiledPlan, drawn: Sequence[Step], nodes: Mapping[str, Node]) -> tuple[Cluster, ...]:
    titles = {phase.id: phase.name or phase.id for phase in plan.phases}
    members: dict[str, list[Node]] = {phase.id: [] for phase in plan.phases}
    loose: list[Node] = []
    for step in drawn:
        members.get(step.phase, loose).append(nodes[step.id])
    framed = [(label(titles[phase], 60), inside) for phase, inside in members.items() if inside]
    if loose:
        framed.append(("", loose))
    return tuple(
        Cluster(key=f"c{number}", title=title or ("" if inside is loose else "·"), nodes=tuple(inside))
        for number, (title, inside) in enumerate(framed)
    )


def _figures(plan: CompiledPlan, count: int) -> str:
    noun = "step" if plan.kind is PlanKind.PLAN else "node"
    parts = [plural(count, noun) + (f" in {plural(len(plan.phases), 'phase')}" if plan.phases else "")]
    if plan.estimate.high:
        parts.append("about " + estimated(plan.estimate))
    if plan.digest:
        parts.append(short_digest(plan.digest))
    return " · ".join(parts)


def _legend(plan: CompiledPlan, shown: Sequence[Step]) -> tuple[str, ...]:
    """Only what occurs is explained."""
    parts = [
        said
        for occurs, said in (
            (plan.critical_path, "bold: critical path"),
            (any(step.irreversible is not None for step in shown), "red: irreversible"),
            (any(step.pivot for step in shown), "double border: pivot"),
            (any(step.guard for step in shown), "dashed arrow: only if the probe found that"),
        )
        if occurs
    ]
    said = ", ".join(parts)
    return (said[0].upper() + said[1:],) if said else ()


def _sideways(keys: Sequence[str], arrows: Sequence[Arrow]) -> bool:
    """Whether the graph is much broader than it is deep: then its boxes stack better side by side."""
    into = Counter(arrow.head for arrow in arrows)
    out: dict[str, list[str]] = {}
    for arrow in arrows:
        out.setdefault(arrow.tail, []).append(arrow.head)
    level = [key for key in keys if not into[key]]
    broadest = deep = 0
    while level:
        broadest, deep = max(broadest, len(level)), deep + 1
        following: list[str] = []
        for head in (head for key in level for head in out.get(key, ())):
            into[head] -= 1
            if not into[head]:
                following.append(head)
        level = following
    return broadest > 6 and broadest > deep
