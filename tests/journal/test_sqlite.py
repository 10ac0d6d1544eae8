"""The SQLite journal: order, fencing, durability, and what a damaged file says."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.model.codec import seal
from compiler.model.plan import FORMAT, CompiledPlan, PlanKind, Step
from compiler.model.run import Counts, RunStatus, StepStatus
from executor.contract import DeadLetter, LeaseLost, TargetsLocked
from executor.journal.events import Event, Graph, Phase
from executor.journal.fold import fold
from executor.journal.sqlite import JournalError, SqliteJournal
from executor.owner import proven_dead, this_process

PLAN = seal(CompiledPlan(name="p", kind=PlanKind.PLAN, format=FORMAT, steps=(Step(id="a", kind="manual"),)))
STARTED = Event(phase=Phase.STARTED, at=1.0)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """An empty journal."""
    opened = SqliteJournal(tmp_path / "journal.db")
    yield opened
    opened.close()


def test_events_come_back_in_order(journal: SqliteJournal) -> None:
    """What was appended is read back as it was, in order, and folds to the run's state."""
    token = journal.create("r", PLAN, {"pid": 1}, STARTED)
    events = [
        Event(phase=Phase.INTENT, at=2.0, step="a", attempt=1, data={"prepared": {"x": [1]}}),
        Event(
            phase=Phase.CHECKPOINT,
            at=3.0,
            step="a",
            attempt=1,
            data={"cursor": {"after": 5}, "counts": {"read": 5, "written": 5}},
        ),
        Event(phase=Phase.OUTCOME, at=4.0, step="a", attempt=1, data={"status": "done"}),
        Event(phase=Phase.ENDED, at=5.0, data={"status": "completed"}),
    ]
    for event in events:
        journal.append("r", token, event)
    assert journal.events("r") == [STARTED, *events]
    state = fold(journal.row("r"), journal.events("r"))
    assert state.status is RunStatus.COMPLETED
    assert state.steps["a"].status is StepStatus.DONE
    assert state.steps["a"].counts == Counts(read=5, written=5)
    assert state.steps["a"].checkpoint == {"after": 5}
    assert journal.graph(PLAN.digest) == PLAN


def test_a_late_append_is_refused(journal: SqliteJournal) -> None:
    """A process whose run was taken over can append nothing more, keep no graph and no before-image."""
    old = journal.create("r", PLAN, this_process("r"), STARTED)
    new = journal.take_over("r", this_process("r"))
    assert new > old
    with pytest.raises(LeaseLost):
        journal.append("r", old, Event(phase=Phase.INTENT, at=2.0, step="a"))
    with pytest.raises(LeaseLost):
        journal.keep_graph("r", old, PLAN)
    with pytest.raises(LeaseLost):
        journal.undo_log("r", old, "a").put(1, b"x")
    journal.append("r", new, Event(phase=Phase.INTENT, at=2.0, step="a"))
    assert [event.phase for event in journal.events("r")] == [Phase.STARTED, Phase.INTENT]


def test_dead_letters_come_with_their_event_once(journal: SqliteJournal) -> None:
    """A record that is dead twice (a batch was done again) is one dead letter."""
    token = journal.create("r", PLAN, {}, STARTED)
    letter = DeadLetter(key='{"_id":1}', reason="no text", stage="transform", body=b"\x05\x00", position=3)
    event = Event(phase=Phase.CHECKPOINT, at=2.0, step="a", data={"cursor": {}, "counts": {}})
    journal.append("r", token, event, [letter])
    journal.append("r", token, event, [letter])
    assert journal.dead_letters("r", "a") == [letter]


def test_undo_log_is_read_newest_first_and_forgotten(journal: SqliteJournal) -> None:
    """Entries come newest first; putting a number again replaces it; dropping forgets them."""
    token = journal.create("r", PLAN, {}, STARTED)
    log = journal.undo_log("r", token, "a")
    log.put(1, b"one")
    log.put(2, b"two")
    log.put(1, b"uno")
    assert list(log.newest_first()) == [2, 1]
    assert log.get(1) == b"uno"
    assert journal.undo_sizes() == {"r": 6}
    journal.drop_undo("r")
    assert list(log.newest_first()) == []


def test_a_lease_is_held_by_one(journal: SqliteJournal) -> None:
    """A live lease is refused with its holder's name; an ended, expired or orphaned one is taken, with a
    higher token."""
    mine = this_process("mine")
    first = journal.acquire("t", mine, 30.0, 100.0, proven_dead)
    with pytest.raises(TargetsLocked, match="run mine"):
        journal.acquire("t", this_process("other"), 30.0, 101.0, proven_dead)
    assert journal.renew("t", first, 30.0, 110.0)
    assert journal.acquire("t", this_process("late"), 30.0, 141.0, proven_dead) == first + 1
    assert not journal.renew("t", first, 30.0, 142.0)
    journal.release("t", first + 1)
    assert journal.acquire("t", mine | {"pid": 999_999_999}, 30.0, 143.0, proven_dead) == first + 2
    assert journal.acquire("t", mine, 30.0, 144.0, proven_dead) == first + 3


def test_confirmations_need_no_token(journal: SqliteJournal) -> None:
    """A person's word is journalled by whichever process hears it."""
    token = journal.create("r", PLAN, {}, STARTED)
    journal.append("r", token, Event(phase=Phase.WAITING, at=2.0, step="a", data={"instructions": "do"}))
    journal.confirm("r", Event(phase=Phase.CONFIRMED, at=3.0, step="a", data={"confirmedBy": "ada"}))
    state = fold(journal.row("r"), journal.events("r"))
    assert state.steps["a"].status is StepStatus.DONE
    assert state.steps["a"].result == {"confirmedBy": "ada"}


@pytest.mark.parametrize(
    "content",
    [b"this is no database, but long enough to look like one" * 30, b"SQLite format 3\x00" + b"\xff" * 4096],
)
def test_a_damaged_journal_is_told(tmp_path: Path, content: bytes) -> None:
    """A file that is no journal is an error in words."""
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(JournalError, match="cannot be used"):
        SqliteJournal(path)


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    """A newer Fordway's journal is not touched."""
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(JournalError, match="version 99"):
        SqliteJournal(path)


WRITER = """
import sys
from pathlib import Path
from executor.journal.events import Event, Phase
from executor.journal.sqlite import SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
for n in range(100_000):
    journal.append("r", 1, Event(phase=Phase.INTENT, at=float(n), step="a", attempt=n))
    print(n, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Every append that returned is there after SIGKILL, and the order has no hole."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.create("r", PLAN, {}, STARTED)
    journal.close()
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        acknowledged = -1
        for line in child.stdout:
            acknowledged = int(line)
            if acknowledged >= 50:
                os.kill(child.pid, signal.SIGKILL)
                break
    journal = SqliteJournal(path)
    attempts = [event.attempt for event in journal.events("r") if event.graph is Graph.PLAN][1:]
    journal.close()
    assert attempts == list(range(len(attempts)))
    assert len(attempts) > acknowledged
