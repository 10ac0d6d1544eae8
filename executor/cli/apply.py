"""``plan apply``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from compiler import driver
from compiler.model.plan import CompiledPlan, Json, PlanKind, Verb
from compiler.model.run import RunState, RunStatus
from executor.cli.display import display_for
from executor.cli.options import json_option, state_option, variables, wait_option
from executor.cli.stopping import Stopper
from executor.cli.telling import print_json, tell
from executor.contract import FordwayError, Stale
from executor.runs import Hands, Runs, UnfinishedRun


class InvalidPlan(FordwayError):
    """The plan does not compile, or the compiled file is not one."""


class Declined(FordwayError):
    """The person said no, or nobody was there to say yes."""

    exit_code = 9


@click.command("apply")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Compile, look at files and stores, run nothing.")
@click.option("--var", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable of the plan.")
@click.option("--supersede", is_flag=True, help="Begin anew although an earlier run has not ended.")
@wait_option
@state_option
@json_option
def apply_command(
    plan: Path,
    yes: bool,
    dry_run: bool,
    given: tuple[str, ...],
    supersede: bool,
    wait: bool,
    state: Path,
    as_json: bool,
) -> None:
    """Apply a plan: its YAML (compiled, shown, asked for) or a compiled file (exactly that).

    A run of the same plan that was interrupted is gone on with. If a step fails or a trigger fires, the
    run is taken back.

    \b
    Example:
      plan apply plans/quickstart/plan.yaml
      plan apply plans/quickstart/plan.compiled.json --yes --json
    """
    compiled, base = _read(plan, given, as_json)
    if not as_json:
        # Whoever has said yes has seen it: 'plan compile' and 'plan graph' show it again.
        text = _headline(compiled) if yes and not dry_run else driver.render(compiled, "text")
        click.echo(text, err=True, nl=False)
    stopper = Stopper()
    display = display_for(compiled)
    runs = Runs(state, Hands(observer=display, stop_asked=stopper.asked, wait_for_people=wait))
    try:
        if dry_run:
            runs.look(compiled, base)
            _tell_dry_run(compiled, state, as_json)
            return
        earlier = _earlier(runs, compiled, supersede)
        _ask(compiled, yes, earlier)
        with stopper.listening(), display.shown():
            ended = runs.start(compiled, base) if earlier is None else runs.resume(earlier.run)
        code = tell(runs, ended, state, as_json)
    finally:
        runs.close()
    sys.exit(code)


def _headline(plan: CompiledPlan) -> str:
    steps = sum(step.verb is not Verb.BARRIER for step in plan.steps)
    return f"{plan.name} {plan.version} ({plan.digest[:19]}…): {steps} steps\n"


def _read(path: Path, given: tuple[str, ...], as_json: bool) -> tuple[CompiledPlan, Path]:
    """The plan and the folder that its paths start from."""
    if driver.is_compiled(path):
        if given:
            raise click.UsageError("--var has no effect on a compiled file; compile again with it")
        try:
            compiled, base = driver.read_compiled(path)
        except (driver.CodecError, OSError) as error:
            raise InvalidPlan(f"{path}: {error}") from None
        if compiled.kind is not PlanKind.PLAN:
            raise InvalidPlan(f"{path} is a rollback graph", hint="'plan rollback RUN' runs it")
        moved = driver.moved_sources(compiled, base)
        if moved:
            raise Stale(
                f"the plan says something else now than when {path} was compiled: {', '.join(moved)}",
                hint="compile again, look at the new plan, and apply that",
            )
        return compiled, base
    result = driver.compile_file(path, variables(given), os.environ)
    if result.plan is None:
        if as_json:
            print_json(driver.failure(result.diagnostics))
        click.echo(result.text, err=True, nl=False)
        raise click.exceptions.Exit(InvalidPlan.exit_code)
    click.echo(result.text, err=True, nl=False)
    return result.plan, path.resolve().parent


def _earlier(runs: Runs, plan: CompiledPlan, supersede: bool) -> RunState | None:
    """The run to go on with, if the last one of this plan has not ended."""
    unfinished = runs.unfinished(plan.name)
    if not unfinished:
        return None
    last = unfinished[-1]
    if last.status in (RunStatus.ROLLBACK_FAILED, RunStatus.HALTED):
        raise UnfinishedRun(
            f"run {last.run} of this plan is {last.status.value}: {last.reason}",
            hint=f"look at 'plan status {last.run}', then: plan rollback {last.run} --continue",
        )
    if last.plan_digest == plan.digest and last.status is not RunStatus.FAILED:
        return last
    if supersede:
        for state in unfinished:
            runs.supersede(state.run)
        return None
    raise UnfinishedRun(
        f"run {last.run} of this plan has not ended ({last.status.value}), and it is not of this compile",
        hint=f"'plan resume {last.run}' goes on with it, 'plan rollback {last.run}' takes it back, and"
        " '--supersede' begins anew regardless",
    )


def _ask(plan: CompiledPlan, yes: bool, earlier: RunState | None) -> None:
    what = "Apply this plan" if earlier is None else f"Go on with run {earlier.run}"
    if earlier is not None:
        click.echo(f"Run {earlier.run} of this plan has not ended; going on with it.", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise Declined(
            f"'{plan.name}' was not applied: there is no terminal to ask at", hint="--yes says yes"
        )
    if not click.confirm(f"\n{what}?", err=True):
        raise Declined(f"'{plan.name}' was not applied")


def _tell_dry_run(plan: CompiledPlan, state: Path, as_json: bool) -> None:
    steps: list[Json] = [
        {"id": step.id, "kind": step.kind, "status": "pending", "seconds": None}
        for step in plan.steps
        if step.verb is not Verb.BARRIER
    ]
    if as_json:
        print_json(
            {
                "run": None,
                "plan": plan.name,
                "digest": plan.digest,
                "status": "dry_run",
                "exit": 0,
                "steps": steps,
                "trigger": None,
                "rollback": None,
            }
        )
    else:
        click.echo(
            f"\nDry run: the files are unchanged, the stores answer, what is read is there."
            f"\n{len(steps)} steps would run, with their state in {state.absolute()}."
        )
