"""``plan status``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from compiler.model.plan import Json, Verb
from compiler.model.run import RunState, RunStatus, StepState
from executor.cli.display import PlainDisplay, counted
from executor.cli.options import json_option, state_option
from executor.cli.telling import print_json, report_of, words
from executor.folders import backups_folder, journal_file
from executor.owner import proven_dead
from executor.report import EXITS, status_word
from executor.runs import Hands, Runs


@click.command("status")
@click.argument("run", required=False)
@click.option("--dead", metavar="STEP", help="List the dead letters of a step of RUN.")
@state_option
@json_option
def status_command(run: str | None, dead: str | None, state: Path, as_json: bool) -> None:
    """Show all runs, or one of them, and what is kept of them. It reads the journal alone.

    \b
    Example:
      plan status
      plan status 20261122-103000-a1b2 --dead copy-notes
    """
    if not journal_file(state).exists():
        if as_json:
            print_json({"runs": []})
        else:
            click.echo(f"There are no runs in {state}.")
        return
    with Runs.opened(state, Hands(observer=PlainDisplay())) as runs:
        if dead is not None:
            _dead(runs, runs.named(run), dead, as_json)
        elif run is not None:
            _one(runs, runs.state_of(run), state, as_json)
        else:
            _all(runs, state, as_json)


def _all(runs: Runs, folder: Path, as_json: bool) -> None:
    kept = runs.journal.undo_sizes()
    rows: list[Json] = []
    for row in runs.journal.runs():
        state = runs.state_of(row.run)
        done = sum(item.ended_well for item in state.steps.values())
        rows.append(
            {
                "run": row.run,
                "plan": row.name,
                "status": _status(runs, state),
                "exit": EXITS[state.status],
                "started": state.started,
                "finished": state.finished,
                "stepsDone": done,
                "undoBytes": kept.get(row.run, 0),
                "backups": _backups(folder, row.run),
            }
        )
    if as_json:
        print_json({"runs": rows})
        return
    if not rows:
        click.echo(f"There are no runs in {folder}.")
    for item in rows:
        assert isinstance(item, dict)
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(str(item["started"]))))
        line = f"{item['run']}  {began}  {item['plan']:<20} {item['status']}, {item['stepsDone']} steps done"
        if item["status"] == "interrupted":
            line += f" (go on: plan resume {item['run']})"
        click.echo(line + (f", backups in {item['backups']}" if item["backups"] else ""))


def _status(runs: Runs, state: RunState) -> str:
    """A run whose process is gone runs no more, whatever its journal says last."""
    live = state.status in (RunStatus.RUNNING, RunStatus.ROLLING_BACK)
    owner = {
        key: value
        for key, value in runs.journal.row(state.run).owner.items()
        if isinstance(value, (str, int))
    }
    return "interrupted" if live and proven_dead(owner) else state.status.value


def _backups(folder: Path, run: str) -> str | None:
    path = backups_folder(folder, run)
    return str(path) if path.is_dir() else None


def _one(runs: Runs, state: RunState, folder: Path, as_json: bool) -> None:
    document = report_of(runs, state, folder)
    if as_json:
        print_json(document)
        return
    for title, nodes in (("Steps", state.steps), ("Rollback", state.rollback)):
        if nodes:
            click.echo(f"{title}:")
        for step, item in nodes.items():
            click.echo("  " + _line(step, item, state))
    click.echo(words(state, document))


def _line(step: str, state: StepState, run: RunState) -> str:
    text = f"{step:<32} {status_word(state, run):<11}"
    if state.started is not None and state.finished is not None:
        text += f" {state.finished - state.started:6.1f} s"
    if state.counts is not None:
        text += "  " + counted(state.counts)
    if state.error:
        text += f"  {state.error}"
    return text.rstrip()


def _dead(runs: Runs, run: str, step: str, as_json: bool) -> None:
    known = [item.id for item in runs.plan_of(run).steps if item.verb is not Verb.BARRIER]
    if step not in known:
        raise click.BadParameter(
            f"run {run} has no step '{step}'; it has {', '.join(known)}", param_hint="--dead"
        )
    letters = runs.journal.dead_letters(run, step)
    if as_json:
        print_json(
            {
                "run": run,
                "step": step,
                "deadLetters": [
                    {"key": item.key, "reason": item.reason, "stage": item.stage, "position": item.position}
                    for item in letters
                ],
            }
        )
        return
    for item in letters:
        click.echo(f"{item.position:>8}  {item.key}  {item.stage}: {item.reason}")
    click.echo(f"{len(letters)} dead letters of {step} in run {run}")
