"""The watch over a run's triggers: engine metrics in, firing triggers out. It decides nothing: what a
firing trigger does stands in the compiled plan as its severity."""

from __future__ import annotations

import resource
import sys
import threading
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.model.condition import Condition, Value, parse
from compiler.model.plan import JsonObject, Trigger
from compiler.model.run import Counts
from executor.clock import Clock
from executor.triggers.automaton import TriggerState, TriggerStatus, observe

THROUGHPUT_OVER = 10.0
"""Seconds over which throughput is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """A trigger that fired, with the metrics that made it."""

    trigger: Trigger
    metrics: Mapping[str, float]

    @property
    def words(self) -> str:
        """Which trigger, its condition, and what it saw."""
        seen = ", ".join(f"{name} = {value:.4g}" for name, value in self.metrics.items())
        if self.trigger.threshold is not None:
            seen += f", threshold = {self.trigger.threshold:g}"
        return f"trigger '{self.trigger.id}' fired: {self.trigger.condition} ({seen})"

    def to_json(self) -> JsonObject:
        """For the journal and the report."""
        return {
            "id": self.trigger.id,
            "condition": self.trigger.condition,
            "threshold": self.trigger.threshold,
            "severity": self.trigger.severity.value,
            "automated": self.trigger.automated,
            "step": self.trigger.step,
            "metrics": dict(self.metrics),
        }


class Meter:
    """Live counts of the steps and what follows from them. Safe from several threads."""

    def __init__(self, clock: Clock, counts: Mapping[str, Counts]) -> None:
        self._clock = clock
        self._begun = clock.monotonic()
        self._counts = dict(counts)
        self._lock = threading.Lock()
        self._trail: deque[tuple[float, Mapping[str, int]]] = deque()

    def update(self, step: str, counts: Counts) -> None:
        """Cumulative counts of a step."""
        with self._lock:
            self._counts[step] = counts

    def counts(self, step: str | None) -> Counts | None:
        """A step's counts, or with None the sum of all; None if nothing was counted yet."""
        with self._lock:
            if step is not None:
                return self._counts.get(step)
            return sum(self._counts.values(), Counts()) if self._counts else None

    def metrics(self, step: str | None) -> dict[str, Value]:
        """The metrics of DESIGN's engine by name: ``errorRate`` in per cent of the records read,
        ``throughput`` in records a second, ``duration`` in seconds, ``memory`` in MB, the rest in records.
        What is not known is None."""
        counts = self.counts(step)
        values: dict[str, Value] = {
            "duration": self._clock.monotonic() - self._begun,
            "memory": _resident_megabytes(),
            "throughput": self._throughput(step),
        }
        if counts is not None:
            values |= {
                "read": float(counts.read),
                "written": float(counts.written),
                "unchanged": float(counts.unchanged),
                "filtered": float(counts.filtered),
                "deadLetters": float(counts.dead),
                "errorRate": 100.0 * counts.dead / counts.read if counts.read else None,
            }
        return values

    def _throughput(self, step: str | None) -> float | None:
        now = self._clock.monotonic()
        with self._lock:
            if not self._trail or now - self._trail[-1][0] > 0.5:
                self._trail.append((now, {name: item.read for name, item in self._counts.items()}))
            while len(self._trail) > 1 and now - self._trail[0][0] > THROUGHPUT_OVER:
                self._trail.popleft()
            then, reads = self._trail[0]
            if now - then < 1.0:
                return None
            current = {name: item.read for name, item in self._counts.items()}
        names = current if step is None else [step]
        done = sum(current.get(name, 0) - reads.get(name, 0) for name in names)
        return done / (now - then)


class Watch:
    """All triggers of a plan with their states. Those named in ``acted`` have done so in this run already,
    and do not act twice: a person who goes on after a pause has decided."""

    def __init__(
        self, triggers: Sequence[Trigger], meter: Meter, clock: Clock, acted: Collection[str] = ()
    ) -> None:
        self._meter, self._clock = meter, clock
        self._triggers: list[tuple[Trigger, Condition]] = [(t, parse(t.condition)) for t in triggers]
        self._states = {
            trigger.id: TriggerState(status=TriggerStatus.ACTED if trigger.id in acted else TriggerStatus.OK)
            for trigger in triggers
        }
        self._last = clock.monotonic()

    def tick(self) -> list[Fired]:
        """Sample every trigger once; the ones that fire now (each fires at most once)."""
        now = self._clock.monotonic()
        elapsed, self._last = now - self._last, now
        fired = []
        for trigger, condition in self._triggers:
            metrics = self._meter.metrics(trigger.step)
            sampled = metrics if trigger.threshold is None else metrics | {"threshold": trigger.threshold}
            sample = condition.sample(sampled, trigger.threshold)
            state = observe(trigger, self._states[trigger.id], sample, elapsed)
            if state.status is TriggerStatus.FIRING:
                state = replace(state, status=TriggerStatus.ACTED)
                used = {name: value for name, value in metrics.items() if name in condition.names}
                fired.append(
                    Fired(
                        trigger=trigger,
                        metrics={name: float(value) for name, value in used.items() if value is not None},
                    )
                )
            self._states[trigger.id] = state
        return fired


def _resident_megabytes() -> float | None:
    """Resident memory of this process: now on Linux, its peak elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1e6 if sys.platform == "darwin" else 1e3)
    return pages * resource.getpagesize() / 1e6
