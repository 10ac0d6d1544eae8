"""Where a state folder keeps what: ``journal.db``, a folder a run, backups, embedded servers."""

from __future__ import annotations

from pathlib import Path


def journal_file(state: Path) -> Path:
    """The journal of all runs of a state folder."""
    return state / "journal.db"


def run_folder(state: Path, run: str) -> Path:
    """What a run wrote for people: logs, reports, the emitted rollback graph."""
    return state / "runs" / run


def backups_folder(state: Path, run: str) -> Path:
    """The backups of a run, for which the plan names no place."""
    return state / "backups" / run


def backup_folder(state: Path, run: str, step: str) -> Path:
    """Where the backup of a step goes if the plan names no place."""
    return backups_folder(state, run) / step
