"""Servers that go away in the middle, and come back."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest

from compiler.model.plan import StoreSpec
from executor.contract import StoreUnavailable
from executor.stores.mongodb import mongod
from tests.engines.contents import records
from tests.engines.driving import Drive, copy

# The driver leaves the sockets of a server that died to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Server:
    """A mongod of the test's own, at one port, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, mongod.free_port()
        self.uri = mongod.uri_of(self.port)
        self.folder.mkdir(parents=True)
        self.start()

    def start(self) -> None:
        self.process = mongod.spawn(self.folder, self.port)
        mongod.wait_until_primary(self.folder, self.port, self.process)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def replace(self, after: float) -> None:
        """Kill it, and start it again so many seconds later."""
        self.kill()

        def again() -> None:
            time.sleep(after)
            self.start()

        threading.Thread(target=again).start()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    started = Server(tmp_path / "server")
    yield started
    mongod.end(started.process.pid)
    started.process.wait()


def driven(folder: Path, server: Server, count: int) -> Drive:
    """A step over that server, with a source of so many records."""
    with pymongo.MongoClient[dict[str, object]](server.uri) as client:
        client.db.source.insert_many([{"_id": number, "text": "x" * 100} for number in range(count)])
    drive = Drive(folder, {"m": StoreSpec(type="mongodb", options={"uri": server.uri, "database": "db"})})
    drive.begin()
    return drive


def test_a_server_that_comes_back(tmp_path: Path, server: Server) -> None:
    """A copy over a server that is killed and comes back loses nothing and writes nothing twice, though
    answers were lost; reading goes on after the last key."""
    drive = driven(tmp_path / "project", server, 5000)
    killed = threading.Event()

    def kill_once() -> None:
        if drive.effects == 20 and not killed.is_set():
            killed.set()
            server.replace(after=0.5)

    drive.proceed = kill_once
    params = copy(maxRetries=8, retryDelay=0.2)
    counts = drive.counts(params)
    assert killed.is_set()
    assert (counts.read, counts.written, counts.unchanged) == (5000, 5000, 0)
    assert records(drive.records, "target") == records(drive.records, "source")
    assert drive.undo(params)["deleted"] == 5000
    assert drive.records.collections() == ["source"]
    drive.close()


def test_a_server_that_stays_away(tmp_path: Path, server: Server) -> None:
    """A server that stays away fails the attempt in words; the next attempt goes on from the checkpoint."""
    drive = driven(tmp_path / "project", server, 3000)
    killed = threading.Event()

    def kill_once() -> None:
        if drive.effects > 25 and not killed.is_set():
            killed.set()
            server.kill()

    drive.proceed = kill_once
    params = copy(maxRetries=0)
    with pytest.raises(StoreUnavailable, match="store 'm': "):
        drive.run(params)
    server.start()
    drive.proceed = lambda: None
    before = drive.step_state().checkpoint
    counts = drive.counts(params)
    assert before is not None
    assert (counts.read, counts.written, counts.unchanged) == (3000, 3000, 0)
    assert records(drive.records, "target") == records(drive.records, "source")
    drive.close()
