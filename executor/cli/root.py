"""``plan``: the one command, whose subcommands are loaded when they are called.

This is where compiler and executor meet; neither imports the other's commands. ``plan --help`` reads the
one-line texts below and imports nothing else, so that it is quick.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import click

COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "compile": ("compiler.cli", "compile_command", "Compile a plan and seal it."),
    "graph": ("compiler.cli", "graph_command", "Draw a plan, or its way back."),
    "explain": ("compiler.cli", "explain_command", "Tell more about a diagnostic's code."),
    "schema": ("compiler.cli", "schema_command", "Print the JSON Schema of a document."),
    "apply": ("executor.cli.apply", "apply_command", "Apply a plan: move the data, or take it back."),
    "status": ("executor.cli.status", "status_command", "Show runs, and what is kept of them."),
    "resume": ("executor.cli.resume", "resume_command", "Go on with a run that stopped."),
    "confirm": ("executor.cli.resume", "confirm_command", "Confirm a manual step."),
    "rollback": ("executor.cli.rollback", "rollback_command", "Take a run back."),
    "store": ("executor.cli.store", "store_group", "Embedded servers: start, stop, list."),
}
"""Name → module, attribute, help in a line."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"There is no command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fordway", prog_name="fordway")
def cli() -> None:
    """Fordway compiles declarative migration plans, applies them, and takes them back.

    \b
    Example:
      plan compile plans/quickstart/plan.yaml
      plan apply plans/quickstart/plan.yaml
    """


def main() -> None:
    """The console script. Nothing that goes wrong ends in a traceback: what is nobody's mistake but
    Fordway's own is one line and exit 1, with the details in a file."""
    try:
        cli.main(standalone_mode=True)
    except Exception as error:  # noqa: BLE001 - the last line of defence; told, not swallowed
        sys.exit(_told(error))


def _told(error: Exception) -> int:
    import tempfile
    import traceback

    exit_code = getattr(error, "exit_code", None)
    if isinstance(exit_code, int):  # a FordwayError: it owns its exit code and its words
        click.echo(f"error: {error}", err=True)
        hint = getattr(error, "hint", "")
        if hint:
            click.echo(f"hint: {hint}", err=True)
        return exit_code
    with tempfile.NamedTemporaryFile("w", prefix="fordway-fault-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    click.echo(f"error: a fault of Fordway's own: {type(error).__name__}: {error}", err=True)
    click.echo(f"hint: please report it with {file.name}", err=True)
    return 1


if __name__ == "__main__":
    main()
