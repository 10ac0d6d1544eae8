"""The commands that only look: ``compile``, ``graph``, ``explain``, ``schema``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

from compiler import driver
from compiler.diagnostics import CATALOGUE, Diagnostic, did_you_mean
from compiler.diagnostics import explain as explanation
from compiler.model.codec import CodecError
from compiler.model.plan import CompiledPlan, Json

INVALID = 3
FORMATS = ("text", "mermaid", "dot", "svg")


class Invalid(click.ClickException):
    """An input is not what it should be; the text tells all of it."""

    exit_code = INVALID

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        click.echo(self.message.rstrip("\n"), err=True)


def variables(given: tuple[str, ...]) -> dict[str, str]:
    """``name=value`` pairs of ``--var``. Raises a usage error for anything else."""
    try:
        return driver.overrides(given)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--var") from None


def print_json(value: Json) -> None:
    """One document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


@click.command("compile")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The compiled file.")
@click.option("--var", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable of the plan.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--check", is_flag=True, help="Write nothing; only say whether the plan is sound.")
def compile_command(
    plan: Path, output: Path | None, given: tuple[str, ...], as_json: bool, check: bool
) -> None:
    """Compile a plan: validate it, order it, estimate it, prove the way back, and seal the result.

    It touches no store. The compiled file is what reviewers approve and what 'plan apply' runs.

    \b
    Example:
      plan compile plans/quickstart/plan.yaml
    """
    compiled = driver.compile_file(plan, variables(given), os.environ)
    if compiled.plan is None:
        _refuse(compiled.diagnostics, compiled.text, as_json)
    target = None if check else output or driver.output_beside(plan)
    if target is not None:
        _write(compiled.plan, plan, target)
    if as_json:
        print_json(driver.summary(compiled.plan, compiled.diagnostics, str(target) if target else None))
        return
    click.echo(compiled.text, err=True, nl=False)
    click.echo(driver.render(compiled.plan, "text"), nl=False)
    if target is not None:
        click.echo(f"\nWritten: {target}\nNext:    plan apply {target}")


def _write(plan: CompiledPlan, source: Path, target: Path) -> None:
    try:
        driver.write_compiled(plan, source, target)
    except OSError as error:
        raise Invalid(f"error: '{target}' cannot be written: {error.strerror}") from None


def _refuse(diagnostics: tuple[Diagnostic, ...], text: str, as_json: bool) -> NoReturn:
    if as_json:
        print_json(driver.failure(diagnostics))
    click.echo(text, err=True, nl=False)
    raise click.exceptions.Exit(INVALID)


def read_any(path: Path, overrides: Mapping[str, str]) -> CompiledPlan:
    """A plan from its YAML or from a compiled file. Raises Invalid."""
    if driver.is_compiled(path):
        try:
            return driver.read_compiled(path)[0]
        except (CodecError, OSError) as error:
            raise Invalid(f"error: {path}: {error}") from None
    compiled = driver.compile_file(path, overrides, os.environ)
    if compiled.plan is None:
        raise Invalid(compiled.text)
    return compiled.plan


@click.command("graph")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file.")
@click.option("--rollback", is_flag=True, help="Draw the way back of the whole plan instead.")
@click.option("--if-fails", metavar="STEP", help="Draw the way back if this step fails.")
@click.option("--var", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable of the plan.")
def graph_command(
    plan: Path,
    form: str,
    output: Path | None,
    rollback: bool,
    if_fails: str | None,
    given: tuple[str, ...],
) -> None:
    """Draw a plan, or its way back, as text, Mermaid, DOT or SVG.

    PLAN is a plan's YAML or a compiled file, the emitted rollback graph of a run too.

    \b
    Example:
      plan graph plans/quickstart/plan.yaml --format svg -o plan.svg
      plan graph plans/quickstart/plan.yaml --if-fails verify-notes
    """
    drawn = read_any(plan, variables(given))
    if rollback or if_fails:
        try:
            drawn = driver.way_back(drawn, if_fails)
        except KeyError:
            names = [step.id for step in drawn.steps]
            raise click.BadParameter(
                f"there is no step '{if_fails}'. {did_you_mean(if_fails or '', names)}",
                param_hint="--if-fails",
            ) from None
    try:
        text = driver.render(drawn, form)
    except driver.CannotDraw as error:
        raise Invalid(f"error: {error}") from None
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"error: '{output}' cannot be written: {error.strerror}") from None


@click.command("explain")
@click.argument("code")
def explain_command(code: str) -> None:
    """Tell more about a diagnostic's code.

    \b
    Example:
      plan explain no-inverse
    """
    text = explanation(code)
    if text is None:
        raise click.BadParameter(f"there is no code '{code}'. {did_you_mean(code, CATALOGUE)}")
    click.echo(text.rstrip("\n"))


@click.command("schema")
@click.argument("kind", required=False)
def schema_command(kind: str | None) -> None:
    """Print the JSON Schema of a kind of document, or list the kinds.

    \b
    Example:
      plan schema migration-plan
    """
    from compiler.source.schemas import schemas

    known = {name.removesuffix(".schema.json"): schema for name, schema in schemas().items()}
    if kind is None:
        click.echo("\n".join(known))
    elif kind in known:
        print_json(known[kind])
    else:
        raise click.BadParameter(f"there is no schema '{kind}'. {did_you_mean(kind, known)}")
