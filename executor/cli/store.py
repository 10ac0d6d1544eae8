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


@store_group.command("start")
@click.argument("name")
@state_option
@json_option
def start_command(name: str, state: Path, as_json: bool) -> None:
    """Start an embedded server and let it run. Prints its URI.

    \b
    Example:
      plan store start quickstart
    """
    from executor.stores.mongodb.embedded import start_and_keep

    uri = start_and_keep(name, state)
    if as_json:
        print_json({"name": name, "running": True, "uri": uri})
    else:
        click.echo(uri)


@store_group.command("stop")
@click.argument("name")
@state_option
@json_option
def stop_command(name: str, state: Path, as_json: bool) -> None:
    """Stop an embedded server. Its data stays.

    \b
    Example:
      plan store stop quickstart
    """
    from executor.stores.mongodb.embedded import stop

    ran = stop(name, state)
    if as_json:
        print_json({"name": name, "running": False, "stopped": ran})
    else:
        click.echo(f"{name} is stopped." if ran else f"{name} was not running.")


@store_group.command("list")
@state_option
@json_option
def list_command(state: Path, as_json: bool) -> None:
    """List the embedded servers of the state folder.

    \b
    Example:
      plan store list
    """
    from executor.stores.mongodb.embedded import list_servers

    servers = list_servers(state)
    if as_json:
        print_json(
            {
                "stores": [
                    {
                        "name": item.name,
                        "running": item.running,
                        "uri": item.uri or None,
                        "pid": item.pid or None,
                        "kept": item.kept,
                        "bytes": item.bytes,
                    }
                    for item in servers
                ]
            }
        )
        return
    if not servers:
        click.echo(f"There are no embedded servers in {state}.")
    for item in servers:
        where = f"running at {item.uri}" if item.running else "stopped"
        click.echo(f"{item.name:<20} {where}, {item.bytes / 1e6:,.0f} MB")
