"""Whole runs through the command line, on a database of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass
class Project:
    """A folder with a plan, as a user has it. ``plan`` writes it, ``call`` runs the command in it."""

    folder: Path
    uri: str
    database: str
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """A file of the project; ``@DB@`` in the text is the test's own database."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("@DB@", self.database))
        return path

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """The command, running."""
        return subprocess.Popen(
            [sys.executable, "-m", "executor.cli.root", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/"),
                "PYTHONPATH": str(ROOT),
                "MONGO_URI": self.uri,
                **self.environment,
                **(environment or {}),
            },
        )

    def call(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Done:
        """The command, run to its end. No call may end in a traceback, but for what a child process says
        whose parent was killed."""
        child = self.start(*arguments, environment=environment)
        out, err = child.communicate(timeout=240)
        assert child.returncode < 0 or "Traceback" not in err, err
        return Done(child.returncode, out, err)

    def apply(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Done:
        """``plan apply plan.yaml --yes --json`` and more."""
        return self.call("apply", "plan.yaml", "--yes", "--json", *arguments, environment=environment)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON document that it printed."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document

    def step(self, step_id: str) -> dict[str, Any]:
        """A step of the report."""
        [row] = [item for item in self.report["steps"] if item["id"] == step_id]
        assert isinstance(row, dict)
        return row


def statuses(done: Done) -> Sequence[tuple[str, str]]:
    """(id, status) of every step."""
    return [(item["id"], item["status"]) for item in done.report["steps"]]
