"""``plan rollback``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from compiler import driver
from compiler.model.plan import Verb
from compiler.model.run import RunState, RunStatus
from executor.cli.display import PlainDisplay, display_for
from executor.cli.options import json_option, state_option, wait_option
from executor.cli.stopping import Stopper
from executor.cli.telling import print_json, tell
from executor.contract import FordwayError
from executor.emit import emit_graph
from executor.runs import Hands, Runs, Skip


class NotConfirmed(FordwayError):
    """Nobody said yes."""

    exit_code = 9


@click.command("rollback")
@click.argument("run", required=False)
@click.option("--dry-run", is_flag=True, help="Show the way back; change nothing.")
@click.option(
    "--emit",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the rollback graph (JSON and drawn) to a folder; change nothing else.",
)
@click.option("--continue", "go_on", is_flag=True, help="Go on with a rollback that failed.")
@click.option("--skip", "skipped", multiple=True, metavar="STEP", help="With --continue: leave a node out.")
@click.option("--reason", default="", help="Why: of the rollback, or of --skip.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@wait_option
@state_option
@json_option
def rollback_command(
    run: str | None,
    dry_run: bool,
    emit: Path | None,
    go_on: bool,
    skipped: tuple[str, ...],
    reason: str,
    yes: bool,
    wait: bool,
    state: Path,
    as_json: bool,
) -> None:
    """Take a run back: what it created is deleted, what it overwrote restored; what others changed since is
    left alone and listed. Without RUN it is the one that began last.

    \b
    Example:
      plan rollback 20261122-103000-a1b2 --dry-run
      plan rollback 20261122-103000-a1b2 --continue --skip undo:notify --reason "mail is down"
    """
    if skipped and not (go_on and reason):
        raise click.UsageError("--skip goes with --continue and a --reason")
    stopper = Stopper()
    with Runs.opened(state, Hands(observer=PlainDisplay())) as runs:
        chosen = runs.named(run)
        graph = runs.rollback_graph(chosen)
        _check(runs.state_of(chosen), go_on=go_on, looking=dry_run or emit is not None)
    if emit is not None:
        path = emit_graph(graph, emit, "rollback", lambda text: click.echo(text, err=True))
        if not dry_run:
            print_json({"run": chosen, "rollback": str(path)}) if as_json else click.echo(f"Written: {path}")
            return
    if dry_run:
        if as_json:
            print_json(driver.summary(graph, (), str(path) if emit else None))
        else:
            click.echo(driver.render(graph, "text"), nl=False)
        return
    if not as_json and not yes:
        click.echo(driver.render(graph, "text"), err=True, nl=False)
    nodes = sum(step.verb is not Verb.BARRIER for step in graph.steps)
    _ask(chosen, nodes, yes)
    display = display_for(graph)
    hands = Hands(observer=display, stop_asked=stopper.asked, wait_for_people=wait)
    with Runs.opened(state, hands) as runs:
        with stopper.listening(), display.shown():
            ended = runs.roll_back(
                chosen,
                reason or "asked for by a person",
                [Skip(step=step, reason=reason) for step in skipped],
            )
        code = tell(runs, ended, state, as_json)
    # Asked for and done: this rollback is not a failure.
    sys.exit(0 if ended.status is RunStatus.ROLLED_BACK else code)


def _check(state: RunState, *, go_on: bool, looking: bool) -> None:
    """Raises where the words of the command do not fit the run."""
    if state.status in (RunStatus.ROLLED_BACK, RunStatus.ROLLED_BACK_WITH_WARNINGS) and not looking:
        click.echo(f"Run {state.run} is rolled back already; nothing is done.", err=True)
    if go_on and state.rollback_digest is None and state.status is not RunStatus.HALTED:
        raise click.UsageError(f"run {state.run} is {state.status.value}: it has no rollback to go on with")
    if state.status is RunStatus.ROLLBACK_FAILED and not (go_on or looking):
        raise NotConfirmed(
            f"the rollback of run {state.run} failed before", hint=f"plan rollback {state.run} --continue"
        )


def _ask(run: str, nodes: int, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed(
            f"run {run} was not taken back: there is no terminal to ask at", hint="--yes says yes"
        )
    if not click.confirm(f"\nTake run {run} back ({nodes} nodes)?", err=True):
        raise NotConfirmed(f"run {run} was not taken back")
