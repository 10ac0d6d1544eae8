"""Triggers: windows, samples, unknowns and latches, with a clock that is turned by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.model.plan import Trigger
from compiler.model.run import Counts
from executor.triggers.automaton import TriggerState, TriggerStatus, observe
from executor.triggers.watch import Meter, Watch

TRIGGER = Trigger(id="t", condition="errorRate > threshold", threshold=5.0, window=3.0)


class HandClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def run(trigger: Trigger, *samples: bool | None) -> TriggerState:
    """The state after samples a second apart."""
    state = TriggerState()
    for sample in samples:
        state = observe(trigger, state, sample, 1.0)
    return state


@pytest.mark.parametrize(
    ("samples", "status"),
    [
        ([True], TriggerStatus.PENDING),
        ([True, True, True], TriggerStatus.PENDING),
        ([True, True, True, True], TriggerStatus.FIRING),
        ([True, True, False, True, True, True], TriggerStatus.PENDING),
        ([True, True, None, True, True, True], TriggerStatus.FIRING),
        ([True, True, None, True, True], TriggerStatus.PENDING),
        ([None] * 4, TriggerStatus.OK),
        ([None] * 5, TriggerStatus.INCONCLUSIVE),
        ([True, None] * 6, TriggerStatus.PENDING),
        ([None, None, False] * 4, TriggerStatus.OK),
        ([None, None, False] * 3 + [None], TriggerStatus.INCONCLUSIVE),
        ([], TriggerStatus.OK),
    ],
)
def test_windows(samples: list[bool | None], status: TriggerStatus) -> None:
    """True adds to the window, false resets it, unknown freezes it, and too much unknown is inconclusive."""
    assert run(TRIGGER, *samples).status is status


def test_least_samples() -> None:
    """Time alone does not fire a trigger that asks for samples."""
    trigger = replace(TRIGGER, window=0.0, samples=3)
    assert run(trigger, True, True).status is TriggerStatus.PENDING
    assert run(trigger, True, True, True).status is TriggerStatus.FIRING


def test_firing_is_latched() -> None:
    """Once it fired, no sample takes it back."""
    assert run(TRIGGER, *[True] * 4, False, None).status is TriggerStatus.FIRING


def test_watch_fires_once_with_its_metrics() -> None:
    """A watch tells of a trigger once, with what it saw; one that acted before stays silent."""
    clock = HandClock()
    meter = Meter(clock, {})
    watch = Watch([TRIGGER, replace(TRIGGER, id="u")], meter, clock, acted=["u"])
    assert watch.tick() == []
    meter.update("copy", Counts(read=100, written=90, dead=10))
    told = []
    for _ in range(6):
        told += watch.tick()
        clock.time += 1.0
    assert [(item.trigger.id, dict(item.metrics)) for item in told] == [("t", {"errorRate": 10.0})]


def test_metrics_of_a_step_and_of_all() -> None:
    """A trigger of a step sees that step's counts alone; nothing read is unknown, not zero."""
    clock = HandClock()
    meter = Meter(clock, {"a": Counts(read=10, written=10)})
    meter.update("b", Counts(read=10, written=5, dead=5))
    assert meter.metrics("b")["errorRate"] == 50.0
    assert meter.metrics(None)["errorRate"] == 25.0
    assert meter.metrics(None)["deadLetters"] == 5.0
    assert meter.metrics("c").get("errorRate") is None
    meter.update("d", Counts())
    assert meter.metrics("d")["errorRate"] is None
    memory = meter.metrics(None)["memory"]
    assert memory is not None
    assert memory > 1
