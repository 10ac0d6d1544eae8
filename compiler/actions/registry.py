"""Every kind of action, once."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.actions.backup import backup
from compiler.actions.bulk import bulk
from compiler.actions.command import command
from compiler.actions.health import health
from compiler.actions.manual import manual
from compiler.actions.meaning import Action
from compiler.actions.provision import provision
from compiler.actions.restore import restore
from compiler.actions.script import script
from compiler.actions.verify import verify

ACTIONS: Mapping[str, Action] = {
    "backup": backup,
    "bulk": bulk,
    "command": command,
    "health": health,
    "manual": manual,
    "provision": provision,
    "restore": restore,
    "script": script,
    "verify": verify,
}
