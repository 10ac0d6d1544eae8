"""Phases as boxes, for plans with more steps than a picture can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from compiler.model.plan import Category, CompiledPlan, PlanKind, Step, Verb

_GRAVEST_FIRST = ("failed", "intended", "running", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What one phase (of a rollback: one kind of work) holds. ``seconds`` from its first step's start to
    its last one's end in the schedule. ``status`` is the gravest of its steps', or the one that all of
    them share; ``statuses`` counts them."""

    id: str
    title: str
    steps: int
    seconds: float
    irreversible: int
    pivots: int
    critical: bool
    status: str
    statuses: tuple[tuple[str, int], ...]


def boxes_of(plan: CompiledPlan, statuses: Mapping[str, str]) -> tuple[list[Box], Mapping[str, str]]:
    """The boxes in order of their first step, and which box each step is in; a barrier outside of every
    box is in none."""
    titles = {phase.id: phase.name or phase.id for phase in plan.phases}
    members: dict[str, list[Step]] = {}
    after_work = _after_work(plan)
    for step in plan.steps:
        if step.verb is not Verb.BARRIER:
            name = _stage(step, after_work[step.id]) if plan.kind is PlanKind.ROLLBACK else step.phase
            members.setdefault(name, []).append(step)
    path = frozenset(plan.critical_path)
    boxes: list[Box] = []
    box_of: dict[str, str] = {}
    for name, inside in members.items():
        title = name if plan.kind is PlanKind.ROLLBACK else titles.get(name, "") or "Other steps"
        boxes.append(_box(name, title, inside, path, statuses))
        box_of.update((step.id, boxes[-1].id) for step in inside)
    for step in plan.steps:
        if step.verb is Verb.BARRIER and step.phase in titles and step.phase in members:
            box_of[step.id] = _box_id(step.phase)
    return boxes, box_of


def _box_id(name: str) -> str:
    """Step ids have no line break, so that a box and a barrier never share a name."""
    return f"box\n{name}"


def _after_work(plan: CompiledPlan) -> Mapping[str, bool]:
    """Of each step, whether work comes before it: checks that end a rollback are told from those that
    open it."""
    ahead: dict[str, bool] = {step.id: False for step in plan.steps}
    work = {
        step.id
        for step in plan.steps
        if step.category is not Category.CHECK and step.verb in (Verb.RUN, Verb.UNDO)
    }
    out: dict[str, list[str]] = {}
    for edge in plan.edges:
        out.setdefault(edge.before, []).append(edge.after)
    for step in plan.steps:
        if step.id in work or ahead[step.id]:
            for after in out.get(step.id, ()):
                ahead[after] = True
    return ahead


def _stage(step: Step, after_work: bool) -> str:
    if step.verb is Verb.PROBE:
        return "Probes"
    if step.category is Category.CHECK:
        return "Checks afterwards" if after_work else "Checks before"
    return f"Take back {step.category.value}"


def _box(
    name: str,
    title: str,
    steps: list[Step],
    path: frozenset[str],
    statuses: Mapping[str, str],
) -> Box:
    words = Counter(statuses[step.id] for step in steps if step.id in statuses)
    status = next((word for word in _GRAVEST_FIRST if words[word]), "")
    if not status and len(words) == 1 and words.total() == len(steps):
        status = next(iter(words))
    return Box(
        id=_box_id(name),
        title=title,
        steps=len(steps),
        seconds=max((step.schedule.end for step in steps), default=0.0)
        - min((step.schedule.start for step in steps), default=0.0),
        irreversible=sum(step.irreversible is not None for step in steps),
        pivots=sum(step.pivot for step in steps),
        critical=any(step.id in path for step in steps),
        status=status,
        statuses=tuple(sorted(words.items())),
    )
