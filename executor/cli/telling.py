"""How a run's end is told: the report as JSON, or a few lines."""

from __future__ import annotations

import json
from pathlib import Path

import click

from compiler.model.plan import Json
from compiler.model.run import RunState, RunStatus, StepStatus
from executor.cli.display import counted
from executor.emit import write_atomically
from executor.folders import run_folder
from executor.report import EXITS, report
from executor.runs import Runs

_SENTENCES = {
    RunStatus.COMPLETED: "Completed.",
    RunStatus.ROLLED_BACK: "Failed, and rolled back: the stores are what they were.",
    RunStatus.ROLLED_BACK_WITH_WARNINGS: "Failed, and rolled back, with warnings.",
    RunStatus.ROLLBACK_FAILED: "The rollback failed; a person is needed.",
    RunStatus.HALTED: "Halted; a person is needed.",
    RunStatus.FAILED: "Failed, and held as the plan's policy says.",
    RunStatus.SUPERSEDED: "Superseded by a later run; what it wrote is as it left it.",
    RunStatus.WAITING: "Waits for a person.",
    RunStatus.PAUSED: "Paused.",
    RunStatus.RUNNING: "Not ended.",
    RunStatus.ROLLING_BACK: "The rollback has not ended.",
}


def tell(runs: Runs, state: RunState, folder: Path, as_json: bool) -> int:
    """Print a run's end and keep its report. Returns the exit code."""
    document = report_of(runs, state, folder)
    body = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    write_atomically(run_folder(folder, state.run) / "report.json", body.encode())
    if as_json:
        click.echo(body, nl=False)
    else:
        click.echo(words(state, document))
    return EXITS[state.status]


def print_json(value: Json) -> None:
    """One document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def report_of(runs: Runs, state: RunState, folder: Path) -> dict[str, Json]:
    """The run report of a state."""
    rollback = runs.journal.graph(state.rollback_digest) if state.rollback_digest else None
    return report(state, runs.plan_of(state.run), rollback, folder)


_ASKED = {
    RunStatus.ROLLED_BACK: "Rolled back, as asked: the stores are what they were.",
    RunStatus.ROLLED_BACK_WITH_WARNINGS: "Rolled back, as asked, with warnings.",
}


def words(state: RunState, document: dict[str, Json]) -> str:
    """The end of a run in a few lines."""
    sentence = (_ASKED if state.asked else {}).get(state.status, _SENTENCES[state.status])
    lines = ["", f"Run {state.run}: {sentence}"]
    if state.reason and state.status is not RunStatus.COMPLETED:
        lines.append(f"  Because:    {state.reason}")
    for step, item in state.steps.items():
        if item.counts is not None:
            lines.append(f"  {step}: {counted(item.counts)}")
            if item.counts.dead and item.counts.written:
                lines.append(f"    Which:    plan status {state.run} --dead {step}")
    if document["rollback"]:
        lines.append(f"  Way back:   {document['rollback']}")
    changed = document["changedSince"]
    assert isinstance(changed, list)
    for item_changed in changed:
        assert isinstance(item_changed, dict)
        lines.append(
            f"  Changed by others and left alone ({item_changed['step']}): {item_changed['changed']}"
        )
    lines += _next(state)
    return "\n".join(lines)


def _next(state: RunState) -> list[str]:
    waiting = [
        (step, item)
        for nodes in (state.steps, state.rollback)
        for step, item in nodes.items()
        if item.status is StepStatus.WAITING
    ]
    lines = []
    for step, item in waiting:
        lines.append(f"  {step}: {item.result.get('instructions')}")
        lines.append(f"  When done:  plan confirm {state.run} {step} --by YOUR-NAME")
    if state.status in (RunStatus.WAITING, RunStatus.PAUSED, RunStatus.RUNNING, RunStatus.ROLLING_BACK):
        lines.append(f"  Go on:      plan resume {state.run}")
    if state.status in (RunStatus.WAITING, RunStatus.PAUSED, RunStatus.FAILED, RunStatus.HALTED):
        lines.append(f"  Take back:  plan rollback {state.run}")
    if state.status is RunStatus.ROLLBACK_FAILED:
        lines.append(f"  Go on:      plan rollback {state.run} --continue [--skip STEP --reason TEXT]")
    return lines
