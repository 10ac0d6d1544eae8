"""``plan store``: the embedded servers."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.options import json_option, state_option
from executor.cli.telling import print_json


@click.group("store")
def store_group() -> None:
    """Embedded servers: start one to look at its data with other tools, stop it, list them.

    A command that needs an embedded server starts it and stops it again; one that was started here keeps
    running until 'plan store stop'.

    \b
    Example:
      plan store start quickstart
    """
