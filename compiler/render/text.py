"""A plan as text, for a terminal and for review: what cannot be undone first, then everything else.

:func:`lines` gives the same text in styled spans, so that a command line can colour it. The spans are
plain text: whoever prints them must not read markup in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from compiler.model.plan import Category, CompiledPlan, Phase, PlanKind, Procedure, Step, Verb
from compiler.render.doing import does, guarded, needs_person, replacements, role, task, way_back
from compiler.render.graph import Before, prerequisites
from compiler.render.label import columns, label
from compiler.render.picture import heading
from compiler.render.words import address, duration, estimated, listed, plural, short_digest, watched

Style = Literal[
    "plain", "title", "heading", "name", "muted", "danger", "pivot", "critical", "good", "bad", "busy"
]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line. It holds no line break and no control character."""

    text: str
    style: Style = "plain"


Line = tuple[Span, ...]

_STATUS_STYLES: Mapping[str, Style] = {
    "done": "good",
    "failed": "bad",
    "intended": "busy",
    "running": "busy",
    "waiting": "busy",
}
_ENDS_OF_PATH = 12
"""So many steps of a longer critical path are shown from its start and from its end."""


def render(plan: CompiledPlan, statuses: Mapping[str, str] | None = None) -> str:
    """The plan as text, ending in a newline."""
    rows = ("".join(span.text for span in line).rstrip() for line in lines(plan, statuses))
    return "\n".join(rows) + "\n"


def lines(plan: CompiledPlan, statuses: Mapping[str, str] | None = None) -> Iterator[Line]:
    """The same text line by line. ``statuses`` maps step ids to words of the run."""
    known = statuses or {}
    shown = [step for step in plan.steps if step.verb is not Verb.BARRIER]
    yield from _header(plan, shown, known)
    if plan.kind is PlanKind.ROLLBACK:
        yield from _rollback_graph(plan, shown, known)
    else:
        yield from _points_of_no_return(plan, shown)
        yield from _stores(plan)
        yield from _phases(plan, shown, known)
        yield from _critical_path(plan)
        yield from _procedures(plan)
    yield from _triggers(plan)


def _header(plan: CompiledPlan, shown: Sequence[Step], statuses: Mapping[str, str]) -> Iterator[Line]:
    yield (Span(heading(plan), "title"),)
    if plan.digest:
        yield _fact("digest", short_digest(plan.digest))
    if plan.plan_digest is not None:
        yield _fact("takes back", f"plan {short_digest(plan.plan_digest)}")
    if plan.source:
        yield _fact("source", label(plan.source, 120))
    yield _fact("size", _size(plan, shown))
    if plan.estimate.high:
        at_once = f", at most {plural(plan.policy.max_parallel, 'step')} at a time"
        yield _fact("duration", "about " + estimated(plan.estimate) + at_once)
    if plan.kind is PlanKind.PLAN:
        failing = plan.policy.on_failure
        held = "hold, for a person to decide" if failing == "hold" else "roll back"
        yield _fact("on failure", held if failing in ("hold", "rollback") else label(failing))
        yield _fact("kept", f"before-images for {duration(plan.policy.retention)}")
    words = Counter(statuses[step.id] for step in shown if step.id in statuses)
    if words:
        yield _fact("run", ", ".join(f"{count:,} {label(word, 30)}" for word, count in sorted(words.items())))


def _size(plan: CompiledPlan, shown: Sequence[Step]) -> str:
    if plan.kind is PlanKind.PLAN:
        phases = f" in {plural(len(plan.phases), 'phase')}" if plan.phases else ""
        return plural(len(shown), "step") + phases
    counts = Counter(role(step) for step in shown)
    nouns = {"undo": "inverse", "probe": "probe", "procedure": "procedure", "check": "check"}
    parts = [plural(counts[each], noun) for each, noun in nouns.items() if counts[each]]
    if counts["person"]:
        parts.append(f"{counts['person']:,} by hand")
    return f"{plural(len(shown), 'node')}: {', '.join(parts)}" if parts else "nothing to take back"


def _points_of_no_return(plan: CompiledPlan, shown: Sequence[Step]) -> Iterator[Line]:
    yield from _heading("Points of no return")
    replaced = replacements(plan)
    found = False
    for step in shown:
        lacking = step.verb is Verb.RUN and step.inverse is None and step.id not in replaced
        if step.irreversible is not None or lacking:
            reason = "the plan has no inverse for it" if step.irreversible is None else step.irreversible
            yield _final(step, "IRREVERSIBLE", "danger", label(reason, 300))
            found = True
        if step.pivot:
            yield _final(step, "PIVOT", "pivot", "once it is done, nothing up to it is taken back by itself")
            found = True
    if not found:
        yield (Span("  none: every step has a way back", "muted"),)


def _final(step: Step, word: str, style: Style, reason: str) -> Line:
    return (
        Span("  "),
        Span(f"{word:<14}", style),
        Span(label(step.id, 60), "name"),
        Span(f": {reason}"),
    )


def _stores(plan: CompiledPlan) -> Iterator[Line]:
    if not plan.stores:
        return
    yield from _heading("Stores")
    names = {name: label(name, 40) for name in sorted(plan.stores)}
    width = max(map(columns, names.values()))
    for name, shown in names.items():
        store = plan.stores[name]
        yield (
            Span("  "),
            Span(_padded(shown, width), "name"),
            Span(f"  {label(store.type, 30):<9} {address(store)}"),
        )


def _phases(plan: CompiledPlan, shown: Sequence[Step], statuses: Mapping[str, str]) -> Iterator[Line]:
    members: dict[str, list[Step]] = {phase.id: [] for phase in plan.phases}
    loose: list[Step] = []
    for step in shown:
        members.get(step.phase, loose).append(step)
    book = _Book(plan, statuses)
    for number, phase in enumerate(plan.phases, 1):
        inside = members[phase.id]
        yield ()
        yield _phase_title(phase, number, len(plan.phases), inside)
        if phase.description:
            yield (Span(f"  {label(phase.description, 160)}", "muted"),)
        if not inside:
            yield (Span("  no steps", "muted"),)
        yield from book.entries(inside)
    if loose:
        yield from _heading("Outside of the phases" if plan.phases else "Steps")
        yield from book.entries(loose)


def _phase_title(phase: Phase, number: int, of: int, inside: Sequence[Step]) -> Line:
    name = label(phase.name or phase.id, 80)
    parts = [f"after {listed(phase.dependencies)}"] if phase.dependencies else []
    took = max((step.schedule.end for step in inside), default=0.0) - min(
        (step.schedule.start for step in inside), default=0.0
    )
    if took > 0:
        parts.append(f"about {duration(took)}")
    told = f" ({'; '.join(parts)})" if parts else ""
    return (Span(f"Phase {number} of {of}: {name}", "heading"), Span(told, "muted"))


class _Book:
    """How the steps of one plan are entered: what all entries need to know is worked out once."""

    def __init__(self, plan: CompiledPlan, statuses: Mapping[str, str]) -> None:
        self._waits = prerequisites(plan)
        self._replaced = replacements(plan)
        self._critical = frozenset(plan.critical_path)
        self._statuses = statuses
        named = {phase.id for phase in plan.phases}
        self._phase_of = {step.id: step.phase if step.phase in named else "" for step in plan.steps}
        self._sizes = Counter(step.phase for step in plan.steps if step.verb is not Verb.BARRIER)
        self._earlier = _earlier_phases(plan.phases)
        self._joins: dict[int, tuple[frozenset[str], str]] = {}

    def entries(self, steps: Sequence[Step]) -> Iterator[Line]:
        ids = {step.id: label(step.id, 60) for step in steps}
        width = min(max(map(columns, ids.values()), default=0), 32)
        for step in steps:
            yield (
                Span("  "),
                Span(_padded(ids[step.id], width), "name"),
                Span(f"  {label(step.kind, 20):<9}  {estimated(step.estimate)}".rstrip()),
                *self._marks(step),
            )
            if step.name and step.name != step.id:
                yield _detail(label(step.name, 120), "muted")
            yield _detail(does(step))
            after = self.after(step)
            if after:
                yield _detail(f"after {after}", "muted")
            limits = _limits(step)
            if limits:
                yield _detail(limits, "muted")
            back = way_back(step, self._replaced)
            yield _detail(f"undo: {back}", "danger" if step.irreversible is not None else "muted")

    def _marks(self, step: Step) -> Iterator[Span]:
        marks: list[tuple[str, Style]] = []
        if step.irreversible is not None:
            marks.append(("IRREVERSIBLE", "danger"))
        if step.pivot:
            marks.append(("PIVOT", "pivot"))
        if step.id in self._critical:
            marks.append(("critical path", "critical"))
        for word, style in marks:
            yield Span("  ")
            yield Span(word, style)
        yield from status_mark(self._statuses.get(step.id, ""))

    def after(self, step: Step) -> str:
        """What a step waits for, in words; what the phase's title says already is left out."""
        waits = self._waits.get(step.id, Before((), ()))
        parts = [listed(waits.steps)] if waits.steps else []
        for join in waits.joins:
            phases, words = self._join(join)
            if not phases <= self._earlier.get(step.phase, frozenset()):
                parts.append(words)
        return "; ".join(parts)

    def _join(self, join: tuple[str, ...]) -> tuple[frozenset[str], str]:
        # By identity: the steps behind one barrier share one tuple of what may be thousands of ids.
        known = self._joins.get(id(join))
        if known is None:
            phases = frozenset(self._phase_of[item] for item in join)
            [first, *_] = phases
            if len(join) <= 6:
                words = listed(join)
            elif len(phases) > 1 or not first:
                words = plural(len(join), "step")
            elif len(join) == self._sizes[first]:
                words = f"all steps of phase {label(first, 60)}"
            else:
                words = f"{plural(len(join), 'step')} of phase {label(first, 60)}"
            known = self._joins[id(join)] = (phases, words)
        return known


def _earlier_phases(phases: Sequence[Phase]) -> Mapping[str, frozenset[str]]:
    """Of each phase, those that its title says or implies to come before it."""
    direct = {phase.id: phase.dependencies for phase in phases}
    earlier: dict[str, frozenset[str]] = {}
    for phase in direct:
        seen: set[str] = set()
        todo = list(direct[phase])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo.extend(earlier.get(name) or direct.get(name, ()))
        earlier[phase] = frozenset(seen)
    return earlier


def _limits(step: Step) -> str:
    parts = [f"by {label(step.assignee, 60)}"] if step.assignee else []
    if step.timeout is not None:
        parts.append(f"{duration(step.timeout)} at most")
    if step.resources:
        parts.append(f"alone on {listed(step.resources)}")
    if step.deliverables:
        parts.append(f"delivers {listed(step.deliverables, 4)}")
    return "; ".join(parts)


def _critical_path(plan: CompiledPlan) -> Iterator[Line]:
    steps = {step.id for step in plan.steps if step.verb is not Verb.BARRIER}
    path = [label(item, 60) for item in plan.critical_path if item in steps]
    if not path:
        return
    yield from _heading("Critical path")
    if len(path) > 2 * _ENDS_OF_PATH:
        left_out = f"({plural(len(path) - 2 * _ENDS_OF_PATH, 'step')} more)"
        path = [*path[:_ENDS_OF_PATH], left_out, *path[-_ENDS_OF_PATH:]]
    row = "  " + path[0]
    for item in path[1:]:
        if len(row) + len(item) > 96:
            yield (Span(row + " →", "critical"),)
            row = "    " + item
        else:
            row += " → " + item
    yield (Span(row, "critical"),)
    if plan.estimate.high:
        yield (Span(f"  {estimated(plan.estimate)} from start to end"),)


def _procedures(plan: CompiledPlan) -> Iterator[Line]:
    rollback = plan.rollback
    if rollback.procedures:
        yield from _heading("Rollback procedures")
        order = list(Category)
        for item in sorted(
            rollback.procedures, key=lambda each: (order.index(each.step.category), each.order, each.step.id)
        ):
            yield from _procedure(item)
    if rollback.checks:
        yield from _heading("Checks at the end of a rollback")
        for step in rollback.checks:
            yield from _entry(step, label(step.kind, 20))


def _procedure(procedure: Procedure) -> Iterator[Line]:
    step = procedure.step
    how = "by hand" if needs_person(step) else label(step.kind, 20)
    yield from _entry(step, f"{step.category.value}, {how}")
    if procedure.undoes:
        yield _detail(f"instead of the own inverse of {listed(procedure.undoes)}", "muted")
    else:
        yield _detail("in every rollback", "muted")
    if procedure.dependencies:
        yield _detail(f"after {listed(procedure.dependencies)}", "muted")


def _entry(step: Step, what: str) -> Iterator[Line]:
    took = estimated(step.estimate)
    yield (
        Span("  "),
        Span(label(step.id, 60), "name"),
        Span(f"  {what}" + (f"  {took}" if took else "")),
        Span("" if step.critical else "  not critical", "muted"),
    )
    if step.description:
        yield _detail(label(step.description, 160), "muted")
    yield _detail(does(step))


def _rollback_graph(plan: CompiledPlan, shown: Sequence[Step], statuses: Mapping[str, str]) -> Iterator[Line]:
    people = [step for step in shown if needs_person(step)]
    yield from _heading("Needs a person")
    for step in people:
        condition = f" ({guarded(step)})" if step.guard else ""
        yield (Span("  "), Span(label(step.id, 60), "name"), Span(f"{condition}: {does(step, 300)}"))
    if not people:
        yield (Span("  nothing: it runs by itself", "muted"),)
    yield from _stores(plan)
    yield from _heading("Order")
    book = _Book(plan, statuses)
    digits = len(str(len(shown)))
    for number, step in enumerate(shown, 1):
        yield (
            Span(f"  {number:>{digits}}. ", "muted"),
            Span(label(step.id, 60), "name"),
            Span(f"  {task(step)}  {estimated(step.estimate)}".rstrip()),
            Span("" if step.critical else "  not critical", "muted"),
            *status_mark(statuses.get(step.id, "")),
        )
        indent = " " * (digits + 4)
        yield (Span(indent + does(step)),)
        if step.guard:
            yield (Span(indent + guarded(step), "critical"),)
        after = book.after(step)
        if after:
            yield (Span(f"{indent}after {after}", "muted"),)
    yield from _critical_path(plan)


def _triggers(plan: CompiledPlan) -> Iterator[Line]:
    if not plan.triggers:
        return
    yield from _heading("Triggers")
    for trigger in plan.triggers:
        yield (
            Span("  "),
            Span(label(trigger.id, 60), "name"),
            Span(f" ({trigger.severity.value})", "muted"),
            Span(f": {watched(trigger)}"),
        )


def status_mark(status: str) -> Line:
    """A step's status in a run, as the end of a line."""
    if not status:
        return ()
    return (Span("  "), Span(f"[{label(status, 30)}]", _STATUS_STYLES.get(status, "muted")))


def _heading(text: str) -> Iterator[Line]:
    yield ()
    yield (Span(text, "heading"),)


def _fact(name: str, value: str) -> Line:
    return (Span(f"  {name:<12}", "muted"), Span(value))


def _detail(text: str, style: Style = "plain") -> Line:
    return (Span("      " + text, style),)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))
