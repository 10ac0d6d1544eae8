"""Events → run state. Pure: the same events give the same state, whoever reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast

from compiler.model.codec import from_json
from compiler.model.plan import JsonObject, Verdict
from compiler.model.run import Counts, RunState, RunStatus, StepState, StepStatus
from executor.journal.events import Event, Graph, Phase, RunRow


def fold(row: RunRow, events: Iterable[Event]) -> RunState:
    """The state of a run after its events."""
    steps: dict[str, StepState] = {}
    rollback: dict[str, StepState] = {}
    state = RunState(run=row.run, plan_digest=row.plan_digest, name=row.name, started=row.created)
    for event in events:
        if event.step:
            nodes = steps if event.graph is Graph.PLAN else rollback
            nodes[event.step] = step_after(nodes.get(event.step, StepState()), event)
            if event.phase is Phase.WAITING:
                state = replace(state, status=RunStatus.WAITING)
        else:
            state = _run_after(state, event)
    return replace(state, steps=steps, rollback=rollback)


def _run_after(state: RunState, event: Event) -> RunState:
    if event.phase is Phase.STARTED:
        return replace(state, status=RunStatus.RUNNING, started=event.at)
    if event.phase is Phase.RESUMED:
        status = RunStatus.RUNNING if state.rollback_digest is None else RunStatus.ROLLING_BACK
        return replace(state, status=status, finished=None)
    if event.phase is Phase.TRIGGER:
        return replace(state, trigger=event.data)
    if event.phase is Phase.PAUSED:
        return replace(state, status=RunStatus.PAUSED, reason=_text(event.data, "reason"))
    if event.phase is Phase.DECIDED:
        return replace(
            state,
            status=RunStatus.ROLLING_BACK,
            rollback_digest=_text(event.data, "graph"),
            reason=_text(event.data, "reason"),
            asked=event.data.get("asked") is True,
            finished=None,
        )
    if event.phase is Phase.ENDED:
        reason = _text(event.data, "reason") or state.reason
        return replace(state, status=RunStatus(str(event.data["status"])), reason=reason, finished=event.at)
    return state


def step_after(state: StepState, event: Event) -> StepState:
    """A node's state after one more of its events."""
    data = event.data
    if event.phase is Phase.INTENT:
        return replace(
            state,
            status=StepStatus.INTENDED,
            attempts=event.attempt,
            prepared=cast(JsonObject, data.get("prepared", {})),
            started=state.started if state.started is not None else event.at,
            finished=None,
            error=None,
            verdict=None,
        )
    if event.phase is Phase.CHECKPOINT:
        return replace(
            state, checkpoint=cast(JsonObject, data["cursor"]), counts=from_json(Counts, data["counts"])
        )
    if event.phase is Phase.WAITING:
        return replace(state, status=StepStatus.WAITING, result=data)
    if event.phase is Phase.CONFIRMED:
        return replace(state, status=StepStatus.DONE, result=data, finished=event.at)
    if event.phase is Phase.OUTCOME:
        verdict = _text(data, "verdict")
        return replace(
            state,
            status=StepStatus(str(data["status"])),
            result=cast(JsonObject, data.get("result", {})),
            counts=from_json(Counts, data["counts"]) if "counts" in data else state.counts,
            verdict=Verdict(verdict) if verdict else None,
            error=_text(data, "error"),
            finished=event.at,
        )
    return state


def _text(data: Mapping[str, object], key: str) -> str | None:
    value = data.get(key)
    return None if value is None else str(value)
