"""Which target ids a step has met: of two source records with one id, the earlier has it, in every run.

Only needed where the ids are made by a transform (or a source may repeat them). Kept in a file of the
run's folder, 16 bytes an id, so that memory does not grow with the data; a file that is lost or behind
the last checkpoint is made again by reading the source from its start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import xxhash

from executor.contract import StepFailed


class Claims:
    """The ids of a step by the position of the source record that came first. One thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._db = self._opened()
            except sqlite3.DatabaseError:
                path.unlink()  # it is only a memory; it can be made again
                self._db = self._opened()
        except (sqlite3.Error, OSError) as error:
            raise _failed(path, error) from error

    def _opened(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS ids (id BLOB PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID"
        )
        database.execute("CREATE TABLE IF NOT EXISTS seen (position INTEGER NOT NULL)")
        return database

    @property
    def position(self) -> int:
        """How many source records' ids are known, from the first on."""
        row = self._db.execute("SELECT position FROM seen").fetchone()
        return int(row[0]) if row else 0

    def go_back(self, position: int) -> None:
        """Forget what came at or after a position: it will be read again."""
        self._write("DELETE FROM ids WHERE position >= ?", [(position,)], min(position, self.position))

    def claim(self, ids: Sequence[tuple[int, bytes]], after: int) -> set[int]:
        """Claim (position, id) pairs; the positions whose id an earlier record has. ``after`` is the
        position of the record after the last."""
        hashed = [(xxhash.xxh3_128_digest(value), position) for position, value in ids]
        self._write("INSERT OR IGNORE INTO ids VALUES (?, ?)", hashed, after)
        owner = self._db.execute
        return {
            position
            for value, position in hashed
            if owner("SELECT position FROM ids WHERE id = ?", (value,)).fetchone()[0] != position
        }

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]], position: int) -> None:
        try:
            self._db.execute("BEGIN")
            self._db.executemany(statement, rows)
            self._db.execute("DELETE FROM seen")
            self._db.execute("INSERT INTO seen VALUES (?)", (position,))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _failed(self._path, error) from error

    def close(self, *, delete: bool) -> None:
        """Close the file; ``delete`` it when the step has ended."""
        self._db.close()
        if delete:
            for path in (
                self._path,
                *(self._path.with_name(self._path.name + end) for end in ("-wal", "-shm")),
            ):
                path.unlink(missing_ok=True)


def _failed(path: Path, error: Exception) -> StepFailed:
    return StepFailed(
        f"the list of ids {path} cannot be kept: {error}", hint="is there room, and the right to write?"
    )
