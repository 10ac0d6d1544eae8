"""Steps with their place in the schedule, and the whole plan's duration as a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compiler.graph import critical_path, makespan
from compiler.model.plan import Edge, Estimate, Schedule, Step, Verb


def scheduled(
    steps: Sequence[Step], edges: Sequence[Edge], max_parallel: int
) -> tuple[tuple[Step, ...], Estimate, tuple[str, ...]]:
    """The steps (given and returned in topological order) with start, end and slack in seconds; the whole
    duration; and the critical path without its barriers.

    Start and end respect ``max_parallel`` and exclusive resources at the likely durations; slack is that
    of the critical path method, which knows no such limits.
    """
    order = [step.id for step in steps]
    pairs = [(edge.before, edge.after) for edge in edges]
    resources = {step.id: step.resources for step in steps if step.resources}

    def whole(durations: dict[str, float]) -> dict[str, tuple[float, float]]:
        return makespan(order, pairs, durations, limit=max_parallel, resources=resources)

    likely = {step.id: step.estimate.likely for step in steps}
    times = whole(likely)
    path, slack = critical_path(order, pairs, likely)
    ends = {
        bound: max((end for _, end in whole(durations).values()), default=0.0)
        for bound, durations in (
            ("low", {step.id: step.estimate.low for step in steps}),
            ("high", {step.id: step.estimate.high for step in steps}),
        )
    }
    placed = tuple(
        replace(step, schedule=Schedule(start=times[step.id][0], end=times[step.id][1], slack=slack[step.id]))
        for step in steps
    )
    kinds = {step.estimate.provenance for step in steps if step.estimate.likely > 0}
    total = Estimate(
        low=ends["low"],
        likely=max((end for _, end in times.values()), default=0.0),
        high=ends["high"],
        provenance="none" if not kinds else kinds.pop() if len(kinds) == 1 else "mixed",
    )
    barriers = {step.id for step in steps if step.verb is Verb.BARRIER}
    return placed, total, tuple(node for node in path if node not in barriers)
