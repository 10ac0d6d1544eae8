"""The journal in one SQLite file: WAL, ``synchronous=FULL``, one transaction an event.

The tables are the design: a run has one row whose ``token`` fences its appends, events are numbered
within the run, and graphs are kept by digest, so that an event never carries a plan.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from compiler.model.codec import canonical, dump_plan, load_plan
from compiler.model.plan import CompiledPlan, JsonObject
from executor.contract import DeadLetter, FordwayError, LeaseLost, TargetsLocked
from executor.journal.events import Event, Graph, Phase, RunRow
from executor.owner import Owner, in_words

VERSION = 1

_TABLES = """
CREATE TABLE graphs (
  digest TEXT PRIMARY KEY,
  body   BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE runs (
  run     TEXT PRIMARY KEY,
  name    TEXT NOT NULL,
  digest  TEXT NOT NULL REFERENCES graphs,
  created REAL NOT NULL,
  token   INTEGER NOT NULL,
  owner   TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE events (
  run     TEXT NOT NULL REFERENCES runs,
  seq     INTEGER NOT NULL,
  at      REAL NOT NULL,
  graph   TEXT NOT NULL,
  step    TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  phase   TEXT NOT NULL,
  data    TEXT NOT NULL,
  PRIMARY KEY (run, seq)
) WITHOUT ROWID;
CREATE TABLE dead_letters (
  run      TEXT NOT NULL REFERENCES runs,
  step     TEXT NOT NULL,
  key      TEXT NOT NULL,
  position INTEGER NOT NULL,
  stage    TEXT NOT NULL,
  reason   TEXT NOT NULL,
  body     BLOB NOT NULL,
  PRIMARY KEY (run, step, position, key)
) WITHOUT ROWID;
CREATE TABLE undo (
  run    TEXT NOT NULL REFERENCES runs,
  step   TEXT NOT NULL,
  number INTEGER NOT NULL,
  entry  BLOB NOT NULL,
  PRIMARY KEY (run, step, number)
) WITHOUT ROWID;
CREATE TABLE leases (
  target  TEXT PRIMARY KEY,
  token   INTEGER NOT NULL,
  owner   TEXT NOT NULL,
  expires REAL NOT NULL
) WITHOUT ROWID;
"""


class JournalError(FordwayError):
    """The journal cannot be read or written: nothing may happen without it."""

    exit_code = 8


class SqliteJournal:
    """A :class:`~executor.journal.events.JournalStore` in a file. Safe from several threads; several
    processes may have it open. Raises JournalError where the file is not one or cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._prepare()

    def _prepare(self) -> None:
        with self._transaction():
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if version == 0:
                for statement in _TABLES.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={VERSION}")
            elif version != VERSION:
                raise JournalError(
                    f"the journal {self._path} has version {version}; this Fordway knows version {VERSION}",
                    hint="use the Fordway that wrote it, or another state folder (--state)",
                )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell SQLite's and the file system's errors in words."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JournalError(
                f"the journal {self._path} cannot be used: {error}",
                hint="is the disk full, the folder read-only, or the file damaged?",
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock, self._told():
            return self._db.execute(statement, values).fetchall()

    def create(self, run: str, plan: CompiledPlan, owner: JsonObject, started: Event) -> int:
        """See JournalStore. A run id that is taken raises JournalError."""
        with self._transaction():
            self._keep(plan)
            self._db.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, 1, ?)",
                (run, plan.name, plan.digest, started.at, _text(owner)),
            )
            self._insert(run, started)
        return 1

    def take_over(self, run: str, owner: JsonObject) -> int:
        """See JournalStore."""
        with self._transaction():
            changed = self._db.execute(
                "UPDATE runs SET token = token + 1, owner = ? WHERE run = ? RETURNING token",
                (_text(owner), run),
            ).fetchone()
        if changed is None:
            raise KeyError(run)
        return int(changed[0])

    def keep_graph(self, run: str, token: int, graph: CompiledPlan) -> None:
        """See JournalStore."""
        with self._transaction():
            self._fence(run, token)
            self._keep(graph)

    def append(self, run: str, token: int, event: Event, dead: Sequence[DeadLetter] = ()) -> None:
        """See JournalStore."""
        with self._transaction():
            self._fence(run, token)
            self._insert(run, event)
            self._db.executemany(
                "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (run, event.step, item.key, item.position, item.stage, item.reason, item.body)
                    for item in dead
                ],
            )

    def confirm(self, run: str, event: Event) -> None:
        """See JournalStore."""
        self.row(run)
        with self._transaction():
            self._insert(run, event)

    def _fence(self, run: str, token: int) -> None:
        row = self._db.execute("SELECT token, owner FROM runs WHERE run = ?", (run,)).fetchone()
        if row is None or row[0] != token:
            raise LeaseLost(
                f"run {run} was taken over by {in_words(json.loads(row[1])) if row else 'nobody'}"
            )

    def _keep(self, graph: CompiledPlan) -> None:
        self._db.execute("INSERT OR IGNORE INTO graphs VALUES (?, ?)", (graph.digest, dump_plan(graph)))

    def _insert(self, run: str, event: Event) -> None:
        self._db.execute(
            "INSERT INTO events SELECT ?, COALESCE(MAX(seq), 0) + 1, ?, ?, ?, ?, ?, ?"
            " FROM events WHERE run = ?",
            (run, event.at, event.graph, event.step, event.attempt, event.phase, _text(event.data), run),
        )

    def runs(self) -> list[RunRow]:
        """See JournalStore."""
        rows = self._rows("SELECT run, name, digest, created, token, owner FROM runs ORDER BY created, run")
        return [_run_row(row) for row in rows]

    def row(self, run: str) -> RunRow:
        """See JournalStore."""
        rows = self._rows("SELECT run, name, digest, created, token, owner FROM runs WHERE run = ?", run)
        if not rows:
            raise KeyError(run)
        return _run_row(rows[0])

    def events(self, run: str) -> list[Event]:
        """See JournalStore."""
        rows = self._rows(
            "SELECT phase, at, graph, step, attempt, data FROM events WHERE run = ? ORDER BY seq", run
        )
        return [
            Event(
                phase=Phase(str(phase)),
                at=float(str(at)),
                graph=Graph(str(graph)),
                step=str(step),
                attempt=int(str(attempt)),
                data=json.loads(str(data)),
            )
            for phase, at, graph, step, attempt, data in rows
        ]

    def graph(self, digest: str) -> CompiledPlan:
        """See JournalStore."""
        rows = self._rows("SELECT body FROM graphs WHERE digest = ?", digest)
        if not rows:
            raise KeyError(digest)
        body = rows[0][0]
        assert isinstance(body, bytes)
        return load_plan(body)

    def dead_letters(self, run: str, step: str) -> list[DeadLetter]:
        """See JournalStore."""
        rows = self._rows(
            "SELECT key, reason, stage, body, position FROM dead_letters"
            " WHERE run = ? AND step = ? ORDER BY position, key",
            run,
            step,
        )
        return [
            DeadLetter(
                key=str(key),
                reason=str(reason),
                stage=str(stage),
                body=body if isinstance(body, bytes) else b"",
                position=int(str(position)),
            )
            for key, reason, stage, body, position in rows
        ]

    def is_dead(self, run: str, step: str, key: str) -> bool:
        """See JournalStore."""
        found = self._rows(
            "SELECT 1 FROM dead_letters WHERE run = ? AND step = ? AND key = ?", run, step, key
        )
        return bool(found)

    def undo_log(self, run: str, token: int, step: str) -> SqliteUndoLog:
        """See JournalStore."""
        return SqliteUndoLog(self, run, token, step)

    def undo_sizes(self) -> dict[str, int]:
        """Bytes of undo log kept here, by run."""
        rows = self._rows("SELECT run, SUM(LENGTH(entry)) FROM undo GROUP BY run ORDER BY run")
        return {str(run): int(str(size)) for run, size in rows}

    def drop_undo(self, run: str) -> None:
        """See JournalStore."""
        with self._transaction():
            self._db.execute("DELETE FROM undo WHERE run = ?", (run,))

    def put_undo(self, run: str, token: int, step: str, number: int, entry: bytes) -> None:
        """Keep an undo entry, replacing that of the same number. Raises LeaseLost."""
        with self._transaction():
            self._fence(run, token)
            self._db.execute("INSERT OR REPLACE INTO undo VALUES (?, ?, ?, ?)", (run, step, number, entry))

    def undo_numbers(self, run: str, step: str) -> list[int]:
        """The numbers of a step's undo entries, highest first."""
        rows = self._rows(
            "SELECT number FROM undo WHERE run = ? AND step = ? ORDER BY number DESC", run, step
        )
        return [int(str(number)) for (number,) in rows]

    def undo_entry(self, run: str, step: str, number: int) -> bytes:
        """One undo entry. Raises KeyError."""
        rows = self._rows(
            "SELECT entry FROM undo WHERE run = ? AND step = ? AND number = ?", run, step, number
        )
        if not rows:
            raise KeyError((run, step, number))
        entry = rows[0][0]
        assert isinstance(entry, bytes)
        return entry

    def acquire(
        self, target: str, owner: Owner, ttl: float, now: float, steal: Callable[[Owner], bool]
    ) -> int:
        """A lease on a target that cannot hold one itself: takes it where it is free, expired or held by a
        process for which ``steal`` is true. ``now`` is in POSIX seconds, ``ttl`` in seconds. Returns the
        fencing token. Raises TargetsLocked."""
        with self._transaction():
            row = self._db.execute("SELECT owner, expires FROM leases WHERE target = ?", (target,)).fetchone()
            if row is not None and float(row[1]) > now and not steal(json.loads(row[0])):
                raise TargetsLocked(target, f"{in_words(json.loads(row[0]))}, for {row[1] - now:.0f} s more")
            [token] = self._db.execute(
                "INSERT INTO leases VALUES (?, 1, ?, ?) ON CONFLICT (target) DO UPDATE"
                " SET token = token + 1, owner = excluded.owner, expires = excluded.expires RETURNING token",
                (target, _text(owner), now + ttl),
            ).fetchone()
        return int(token)

    def renew(self, target: str, token: int, ttl: float, now: float) -> bool:
        """Prolong a lease; False if it is no longer ours."""
        with self._transaction():
            changed = self._db.execute(
                "UPDATE leases SET expires = ? WHERE target = ? AND token = ?", (now + ttl, target, token)
            ).rowcount
        return changed == 1

    def release(self, target: str, token: int) -> None:
        """End a lease; the row stays, so that tokens go on rising."""
        with self._transaction():
            self._db.execute("UPDATE leases SET expires = 0 WHERE target = ? AND token = ?", (target, token))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


class SqliteUndoLog:
    """A :class:`~executor.contract.UndoLog` in the journal's file."""

    def __init__(self, journal: SqliteJournal, run: str, token: int, step: str) -> None:
        self._journal, self._run, self._token, self._step = journal, run, token, step

    def put(self, number: int, entry: bytes) -> None:
        self._journal.put_undo(self._run, self._token, self._step, number, entry)

    def newest_first(self) -> Sequence[int]:
        return self._journal.undo_numbers(self._run, self._step)

    def get(self, number: int) -> bytes:
        return self._journal.undo_entry(self._run, self._step, number)


def _text(value: JsonObject) -> str:
    return canonical(value).decode("utf-8", "surrogatepass")


def _run_row(row: tuple[object, ...]) -> RunRow:
    run, name, digest, created, token, owner = row
    return RunRow(
        run=str(run),
        name=str(name),
        plan_digest=str(digest),
        created=float(str(created)),
        token=int(str(token)),
        owner=json.loads(str(owner)),
    )
