"""Which nodes may start now. Pure bookkeeping over a graph: no clock, no store, no thread.

A barrier ends by itself when all before it have ended. Each call is linear in the edges that it
touches, so that a whole run is linear in nodes plus edges.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping

from compiler.model.plan import CompiledPlan, PlanKind, Step, Verb
from compiler.model.run import ENDED_WELL, StepState, StepStatus


class Frontier:
    """The edge between what has ended and what may start, in the plan's own order.

    A node that failed blocks what comes after it, but for a node of a rollback that is not critical.
    """

    def __init__(self, plan: CompiledPlan, states: Mapping[str, StepState]) -> None:
        self._steps = plan.steps
        self._forgiving = plan.kind is PlanKind.ROLLBACK
        self._index = {step.id: i for i, step in enumerate(plan.steps)}
        self._after: dict[str, list[str]] = defaultdict(list)
        self._missing: dict[str, int] = dict.fromkeys(self._index, 0)
        self._free: list[int] = []
        self._held: set[str] = set()
        self._running: set[str] = set()
        self._left = len(self._steps)
        for edge in plan.edges:
            self._after[edge.before].append(edge.after)
            self._missing[edge.after] += 1
        # The steps are in topological order: what comes before a step was looked at before it.
        for index, step in enumerate(self._steps):
            ended = step.id in states and self._lets_pass(step, states[step.id].status)
            if ended or (step.verb is Verb.BARRIER and self._missing[step.id] == 0):
                self._left -= 1
                self._open(step.id)
            elif self._missing[step.id] == 0:
                heapq.heappush(self._free, index)

    @property
    def done(self) -> bool:
        """Whether nothing is left to start or to wait for."""
        return self._left == 0

    @property
    def running(self) -> frozenset[str]:
        """What was taken and has not ended."""
        return frozenset(self._running)

    def take(self, limit: int) -> list[Step]:
        """The nodes to start now, in plan order: at most ``limit`` at once with those that run, and never
        two that share an exclusive resource. They count as running from here on."""
        taken: list[Step] = []
        kept: list[int] = []
        while self._free and len(self._running) < limit:
            index = heapq.heappop(self._free)
            step = self._steps[index]
            if self._held.intersection(step.resources):
                kept.append(index)
                continue
            self._held.update(step.resources)
            self._running.add(step.id)
            taken.append(step)
        for index in kept:
            heapq.heappush(self._free, index)
        return taken

    def end(self, step_id: str, status: StepStatus) -> None:
        """A node that was taken has ended (or waits, or failed)."""
        step = self._steps[self._index[step_id]]
        self._running.discard(step_id)
        self._held.difference_update(step.resources)
        if self._lets_pass(step, status):
            self._pass(step_id)

    def _pass(self, step_id: str) -> None:
        pending = [step_id]
        while pending:
            self._left -= 1
            for after in self._open(pending.pop()):
                index = self._index[after]
                if self._steps[index].verb is Verb.BARRIER:
                    pending.append(after)
                else:
                    heapq.heappush(self._free, index)

    def _open(self, step_id: str) -> list[str]:
        opened = []
        for after in self._after[step_id]:
            self._missing[after] -= 1
            if self._missing[after] == 0:
                opened.append(after)
        return opened

    def _lets_pass(self, step: Step, status: StepStatus) -> bool:
        if status in ENDED_WELL:
            return True
        return self._forgiving and not step.critical and status is StepStatus.FAILED
