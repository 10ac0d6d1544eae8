"""Link: prerequisites and phases become edges, and the steps a DAG in topological order.

Phases are joined by barrier nodes: what a phase depends on ends before its start barrier, its tasks end
before its validations, those before its end barrier. The edges grow with what was written, never with
the product of two phases.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.compilation import Compilation, Draft
from compiler.diagnostics import Span, did_you_mean
from compiler.graph import CycleFound, topological_order
from compiler.model.plan import Edge, Step, Verb
from compiler.passes.expand import phase_end, phase_start
from compiler.source.tree import head


def link(compilation: Compilation) -> Compilation:
    """Steps in topological order, and edges. A cycle is reported as its path; then there are no edges."""
    phase_cycle = _phase_cycle(compilation)
    if phase_cycle:
        return compilation
    steps = list(compilation.steps)
    edges, places = _prerequisites(compilation)
    phase_edges, barriers = _phases(compilation, edges)
    steps += barriers
    everything = edges | phase_edges
    pairs = [(edge.before, edge.after) for edge in sorted(everything)]
    try:
        order = topological_order([step.id for step in steps], pairs)
    except CycleFound as found:
        _report_cycle(found.path, places, compilation)
        return compilation
    by_id = {step.id: step for step in steps}
    return replace(
        compilation,
        steps=tuple(by_id[step_id] for step_id in order),
        edges=tuple(sorted(everything)),
    )


def _prerequisites(compilation: Compilation) -> tuple[set[Edge], dict[Edge, Span]]:
    """The edges that tasks name, with the place of each."""
    phase_of = {draft.id: draft.phase for draft in compilation.drafts}
    earlier = _earlier_phases(compilation)
    places: dict[Edge, Span] = {}
    for draft in compilation.drafts:
        for name, span in draft.node.texts("prerequisites"):
            if name not in phase_of:
                compilation.collector.report(
                    "unknown-prerequisite",
                    span,
                    f"there is no task '{name[:80]}'",
                    did_you_mean(name, [item for item in phase_of if item != draft.id]),
                )
            elif draft.phase in earlier.get(phase_of[name], ()):
                compilation.collector.report(
                    "later-phase",
                    span,
                    f"'{name}' is in phase '{phase_of[name]}', which comes after '{draft.phase}'",
                    "Move one of the tasks, or change the phases' dependencies.",
                )
            else:
                places.setdefault(Edge(before=name, after=draft.id), span)
    return set(places), places


def _earlier_phases(compilation: Compilation) -> dict[str, set[str]]:
    """For every phase all that come before it."""
    dependencies = {phase.id: phase.dependencies for phase in compilation.phases}
    order = topological_order(list(dependencies), [(d, p) for p, ds in dependencies.items() for d in ds])
    earlier: dict[str, set[str]] = {}
    for phase in order:
        direct = dependencies[phase]
        earlier[phase] = set(direct).union(*(earlier[item] for item in direct))
    return earlier


def _phase_cycle(compilation: Compilation) -> bool:
    pairs = [(d, phase.id) for phase in compilation.phases for d in phase.dependencies]
    try:
        topological_order([phase.id for phase in compilation.phases], pairs)
    except CycleFound as found:
        nodes = compilation.documents.plan.root.mappings("phases")
        at = {node.text("id"): node.key_span("dependencies") for node in nodes}
        path = " → ".join([*found.path, found.path[0]])
        lines = "; ".join(f"'{name}' at {at[name]}" for name in found.path)
        compilation.collector.report(
            "cycle", at[found.path[0]], f"the phases go round: {path} ({lines})", "Take one of these out."
        )
        return True
    return False


def _phases(compilation: Compilation, edges: set[Edge]) -> tuple[set[Edge], list[Step]]:
    joined: set[Edge] = set()
    barriers: list[Step] = []
    drafts: dict[str, list[Draft]] = {}
    for draft in {draft.id: draft for draft in reversed(compilation.drafts)}.values():
        drafts.setdefault(draft.phase, []).append(draft)
    phase_of = {draft.id: draft.phase for draft in compilation.drafts}
    entered = {e.after for e in edges if phase_of[e.before] == phase_of[e.after]}
    left = {e.before for e in edges if phase_of[e.before] == phase_of[e.after]}
    for phase in compilation.phases:
        start, end = phase_start(phase.id), phase_end(phase.id)
        inside = drafts.get(phase.id, [])
        tasks = [d.id for d in inside if not d.validation]
        checks = [d.id for d in inside if d.validation]
        joined.update(Edge(before=phase_end(item), after=start) for item in phase.dependencies)
        joined.update(Edge(before=start, after=item) for item in tasks if item not in entered)
        last = start
        if tasks:
            last = f"phase:{phase.id}:tasks" if checks else end
            if checks:
                barriers.append(Step(id=last, kind="barrier", verb=Verb.BARRIER, phase=phase.id))
            joined.update(Edge(before=item, after=last) for item in tasks if item not in left)
        joined.update(Edge(before=last, after=item) for item in checks if item not in entered)
        joined.update(Edge(before=item, after=end) for item in checks if item not in left)
        if last not in (end,) and not checks:
            joined.add(Edge(before=last, after=end))
    joined |= _success_criteria(compilation, drafts.get("", []))
    return joined, barriers


def _success_criteria(compilation: Compilation, criteria: list[Draft]) -> set[Edge]:
    """What must hold in the end comes after every phase that nothing else comes after."""
    needed = {d for phase in compilation.phases for d in phase.dependencies}
    last = [phase_end(phase.id) for phase in compilation.phases if phase.id not in needed]
    return {Edge(before=end, after=draft.id) for end in last for draft in criteria}


def _report_cycle(path: tuple[str, ...], places: dict[Edge, Span], compilation: Compilation) -> None:
    shown = [node for node in path if not node.startswith("phase:")] or list(path)
    legs: list[tuple[Span, str]] = []
    for before, after in zip(path, [*path[1:], path[0]], strict=True):
        span = places.get(Edge(before=before, after=after))
        if span is not None:
            legs.append((span, f"'{after}' needs '{before}' at {span}"))
    start = min((span for span, _ in legs), default=head(compilation.documents.plan.root.span))
    compilation.collector.report(
        "cycle",
        start,
        f"the steps go round: {' → '.join([*shown, shown[0]])} ({'; '.join(leg for _, leg in legs)})",
        "Take one of these prerequisites out.",
    )
