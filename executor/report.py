"""The run report: what came of a run, for people and for CI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from compiler.model.plan import CompiledPlan, Json, Step, Verb
from compiler.model.run import Counts, RunState, RunStatus, StepState, StepStatus
from executor.folders import run_folder

EXITS: Mapping[RunStatus, int] = {
    RunStatus.COMPLETED: 0,
    RunStatus.ROLLED_BACK: 6,
    RunStatus.ROLLED_BACK_WITH_WARNINGS: 7,
    RunStatus.ROLLBACK_FAILED: 8,
    RunStatus.HALTED: 8,
    RunStatus.FAILED: 8,
    RunStatus.SUPERSEDED: 8,
    RunStatus.WAITING: 9,
    RunStatus.PAUSED: 9,
    RunStatus.RUNNING: 9,
    RunStatus.ROLLING_BACK: 9,
}
"""What a command that ran a run ends with, by the status it left it in (DESIGN's table)."""


def report(
    state: RunState, plan: CompiledPlan, rollback: CompiledPlan | None, folder: Path
) -> dict[str, Json]:
    """A run as one JSON document. Times in POSIX seconds, durations in seconds, counts in records."""
    emitted = run_folder(folder, state.run) / "rollback.compiled.json"
    uncertain = _uncertain(state)
    return {
        "run": state.run,
        "plan": state.name,
        "digest": state.plan_digest,
        "status": state.status.value,
        "exit": EXITS[state.status],
        "reason": state.reason,
        "started": state.started,
        "finished": state.finished,
        "seconds": None if state.finished is None else round(state.finished - state.started, 3),
        "steps": [_step(step, state.steps.get(step.id), state) for step in plan.steps if _shown(step)],
        "trigger": state.trigger,
        "rollback": str(emitted) if rollback is not None and emitted.exists() else None,
        "rollbackSteps": []
        if rollback is None
        else [_step(step, state.rollback.get(step.id), state) for step in rollback.steps if _shown(step)],
        "changedSince": _changed(state.rollback),
        "uncertain": list(uncertain) if state.status in _UNSURE else [],
    }


_UNSURE = frozenset({RunStatus.HALTED, RunStatus.ROLLBACK_FAILED, RunStatus.FAILED})


def _shown(step: Step) -> bool:
    return step.verb is not Verb.BARRIER


def status_word(state: StepState, run: RunState) -> str:
    """A node's status for people: what was begun and runs no more is *interrupted*."""
    if state.status is StepStatus.INTENDED and run.status not in (RunStatus.RUNNING, RunStatus.ROLLING_BACK):
        return "interrupted"
    return state.status.value


def _step(step: Step, known: StepState | None, run: RunState) -> dict[str, Json]:
    state = known or StepState()
    row: dict[str, Json] = {
        "id": step.id,
        "kind": step.kind,
        "status": status_word(state, run),
        "seconds": _seconds(state),
        "attempts": state.attempts,
    }
    if state.counts is not None:
        row |= counts_json(state.counts)
    if state.error is not None:
        row["error"] = state.error
    if state.verdict is not None:
        row["verdict"] = state.verdict.value
    if state.result:
        row["result"] = state.result
    return row


def counts_json(counts: Counts) -> dict[str, Json]:
    """A data step's counts, every one of them, in records (``bytes`` in bytes)."""
    return {
        "read": counts.read,
        "written": counts.written,
        "unchanged": counts.unchanged,
        "filtered": counts.filtered,
        "dead": counts.dead,
        "embedded": counts.embedded,
        "bytes": counts.bytes,
    }


def _seconds(state: StepState) -> float | None:
    if state.started is None or state.finished is None:
        return None
    return round(state.finished - state.started, 3)


def _changed(states: Mapping[str, StepState]) -> list[Json]:
    """What others changed since and a rollback left alone."""
    found: list[Json] = []
    for step, state in states.items():
        changed = state.result.get("changedSince")
        if changed:
            found.append({"step": step, "changed": changed})
    return found


def _uncertain(state: RunState) -> list[str]:
    """The nodes of which it is not known whether they took effect, or that did not go back."""
    nodes = {**state.steps, **state.rollback} if state.rollback_digest else state.steps
    return [key for key, item in nodes.items() if item.status in (StepStatus.INTENDED, StepStatus.FAILED)]
