"""One trigger's state machine, as a pure function of its samples.

``ok → pending → firing → acted``, and ``inconclusive``. True adds to the window, false resets it,
unknown freezes it. Firing needs the whole window and the least number of samples; it is latched and
acts once. More than four unknown in a row, or most of all samples unknown, is inconclusive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from compiler.model.plan import Trigger

UNKNOWN_IN_A_ROW = 4
LEAST_TO_JUDGE = 10
"""Samples before "most of them unknown" means anything."""


class TriggerStatus(StrEnum):
    """Where a trigger stands."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    ACTED = "acted"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerState:
    """``held`` is the time for which the condition held, in seconds of running time."""

    status: TriggerStatus = TriggerStatus.OK
    held: float = 0.0
    trues: int = 0
    samples: int = 0
    unknowns: int = 0
    unknown_in_a_row: int = 0


def observe(trigger: Trigger, state: TriggerState, sample: bool | None, elapsed: float) -> TriggerState:
    """The state after one more sample, ``elapsed`` seconds of running time after the one before.

    Time counts towards the window only between two samples that were both true.
    """
    if state.status in (TriggerStatus.FIRING, TriggerStatus.ACTED):
        return state
    samples = state.samples + 1
    if sample is None:
        in_a_row = state.unknown_in_a_row + 1
        unknowns = state.unknowns + 1
        lost = in_a_row > UNKNOWN_IN_A_ROW or (samples >= LEAST_TO_JUDGE and unknowns * 2 > samples)
        return replace(
            state,
            status=TriggerStatus.INCONCLUSIVE if lost else state.status,
            samples=samples,
            unknowns=unknowns,
            unknown_in_a_row=in_a_row,
        )
    if not sample:
        return replace(state, status=TriggerStatus.OK, held=0.0, trues=0, samples=samples, unknown_in_a_row=0)
    # Time behind an unknown sample is not known to have been true, so it does not count.
    counts = state.trues > 0 and state.unknown_in_a_row == 0
    held = state.held + elapsed if counts else state.held
    trues = state.trues + 1
    fires = held >= trigger.window and trues >= trigger.samples
    return replace(
        state,
        status=TriggerStatus.FIRING if fires else TriggerStatus.PENDING,
        held=held,
        trues=trues,
        samples=samples,
        unknown_in_a_row=0,
    )
