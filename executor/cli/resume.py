"""``plan resume`` and ``plan confirm``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from compiler.model.run import StepStatus
from executor.cli.display import PlainDisplay, display_for
from executor.cli.options import json_option, state_option, wait_option
from executor.cli.stopping import Stopper
from executor.cli.telling import print_json, tell
from executor.runs import Hands, Runs


@click.command("resume")
@click.argument("run", required=False)
@wait_option
@state_option
@json_option
def resume_command(run: str | None, wait: bool, state: Path, as_json: bool) -> None:
    """Go on with a run that was interrupted, paused or killed, from its last checkpoint.

    Without RUN it is the one that began last.

    \b
    Example:
      plan resume 20261122-103000-a1b2
    """
    stopper = Stopper()
    with Runs.opened(state, Hands(observer=PlainDisplay())) as runs:
        chosen = runs.named(run)
        display = display_for(runs.plan_of(chosen))
    hands = Hands(observer=display, stop_asked=stopper.asked, wait_for_people=wait)
    with Runs.opened(state, hands) as runs:
        with stopper.listening(), display.shown():
            ended = runs.resume(chosen)
        code = tell(runs, ended, state, as_json)
    sys.exit(code)


@click.command("confirm")
@click.argument("run")
@click.argument("step")
@click.option("--by", required=True, metavar="NAME", help="Who did it; kept in the journal.")
@state_option
@json_option
def confirm_command(run: str, step: str, by: str, state: Path, as_json: bool) -> None:
    """Say that a manual step is done. The run goes on with 'plan resume'.

    \b
    Example:
      plan confirm 20261122-103000-a1b2 switch-dns --by ada
    """
    with Runs.opened(state, Hands(observer=PlainDisplay())) as runs:
        confirmed = runs.confirm(run, step, by)
        assert confirmed.status is StepStatus.DONE
    if as_json:
        print_json({"run": run, "step": step, "status": confirmed.status.value, "confirmedBy": by})
    else:
        click.echo(f"{step} is confirmed by {by}.\n  Go on:  plan resume {run}")
