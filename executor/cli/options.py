"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from compiler import driver

F = TypeVar("F", bound=Callable[..., None])


def state_option(function: F) -> F:
    """``--state DIR``: where the journal, runs and embedded servers live."""
    return click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(".plan"),
        show_default=True,
        envvar="FORDWAY_STATE",
        help="The state folder.",
    )(function)


def json_option(function: F) -> F:
    """``--json``: one document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


def wait_option(function: F) -> F:
    """``--wait``: stay while a manual step waits."""
    return click.option("--wait", is_flag=True, help="Stay while a manual step waits for its confirmation.")(
        function
    )


def variables(given: tuple[str, ...]) -> dict[str, str]:
    """``name=value`` pairs of ``--var``. Raises a usage error for anything else."""
    try:
        return driver.overrides(given)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--var") from None
