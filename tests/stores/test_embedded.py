"""Embedded servers: started, shared, left behind, found again, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest

from executor.contract import FordwayError
from executor.stores.mongodb import embedded, mongod

ROOT = Path(__file__).parents[2]
JOIN = """
import sys, time
from pathlib import Path
from executor.stores.mongodb import embedded
member = embedded.join("one", Path(sys.argv[1]))
print(member.uri, flush=True)
if sys.argv[2] == "hang":
    time.sleep(600)
member.release()
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder; what still runs in it is ended."""
    folder = tmp_path / ".plan"
    yield folder
    for server in embedded.list_servers(folder):
        if server.running:
            mongod.end(server.pid)


def the_server(state: Path) -> embedded.Embedded:
    """The only server of the state folder."""
    [server] = embedded.list_servers(state)
    return server


def process(state: Path, how: str) -> subprocess.Popen[str]:
    """Another process that uses the server."""
    return subprocess.Popen(
        [sys.executable, "-c", JOIN, str(state), how],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def uri_from(child: subprocess.Popen[str]) -> str:
    """What the process says that it uses."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


def test_the_last_user_stops_it(state: Path) -> None:
    """Two uses share one server, data outlives it, and the second start finds its data at another port."""
    first, second = embedded.join("one", state), embedded.join("one", state)
    assert first.uri == second.uri
    with pymongo.MongoClient[dict[str, object]](first.uri) as client:
        client.db.things.insert_one({"_id": 1})
        assert client.admin.command("hello")["me"].startswith("127.0.0.1:")
    first.release()
    first.release()
    assert the_server(state).running
    second.release()
    assert not the_server(state).running
    again = embedded.join("one", state)
    with pymongo.MongoClient[dict[str, object]](again.uri) as client:
        assert client.db.things.find_one() == {"_id": 1}
        with client.start_session() as session, session.start_transaction():
            client.db.things.insert_one({"_id": 2}, session=session)
    again.release()


def test_a_killed_user_leaves_it_running(state: Path) -> None:
    """After a kill -9 of its only user the server goes on, and the next process takes it as it is."""
    child = process(state, "hang")
    uri = uri_from(child)
    child.kill()
    child.communicate()
    pid = the_server(state).pid
    assert the_server(state).running
    member = embedded.join("one", state)
    assert (member.uri, the_server(state).pid) == (uri, pid)
    member.release()
    assert not the_server(state).running


def test_a_killed_server_is_started_again(state: Path) -> None:
    """A server that was killed leaves its lock file behind; the next start recovers its data."""
    member = embedded.join("one", state)
    with pymongo.MongoClient[dict[str, object]](member.uri, w="majority", journal=True) as client:
        client.db.things.insert_one({"_id": 1})
    os.kill(the_server(state).pid, signal.SIGKILL)
    member.release()
    again = embedded.join("one", state)
    with pymongo.MongoClient[dict[str, object]](again.uri) as client:
        assert client.db.things.find_one() == {"_id": 1}
    again.release()


def test_many_starters_at_once(state: Path) -> None:
    """Processes and threads that start it at once get one and the same server."""
    children = [process(state, "leave") for _ in range(3)]
    uris: list[str] = []
    members: list[embedded.Membership] = []

    def join() -> None:
        members.append(embedded.join("one", state))

    threads = [threading.Thread(target=join) for _ in range(3)]
    for thread in threads:
        thread.start()
    for child in children:
        uris.append(uri_from(child))
        child.communicate()
        assert child.returncode == 0
    for thread in threads:
        thread.join()
    assert len({member.uri for member in members}) == 1
    for member in members:
        member.release()
    assert not the_server(state).running


def test_a_stale_pid_is_not_taken_for_a_server(state: Path) -> None:
    """A pid that was written down and belongs to another program by now is left alone."""
    member = embedded.join("one", state)
    pid = the_server(state).pid
    os.kill(pid, signal.SIGKILL)
    member.release()
    with subprocess.Popen(["sleep", "60"]) as bystander:
        for path in ("server.pid", "data/mongod.lock"):
            (state / "mongod" / "one" / path).write_text(str(bystander.pid))
        assert not the_server(state).running
        again = embedded.join("one", state)
        again.release()
        assert bystander.poll() is None
        bystander.kill()


def test_its_starter_was_killed_before_it_wrote_the_pid(state: Path) -> None:
    """A server whose pid nobody wrote down is found by what it writes itself."""
    member = embedded.join("one", state)
    (state / "mongod" / "one" / "server.pid").unlink()
    again = embedded.join("one", state)
    assert again.uri == member.uri
    again.release()
    member.release()
    assert not the_server(state).running


def test_kept_until_stopped(state: Path) -> None:
    """``plan store start`` keeps it running after its last user, until it is stopped; not while used."""
    uri = embedded.start_and_keep("one", state)
    member = embedded.join("one", state)
    assert member.uri == uri
    with pytest.raises(FordwayError, match="in use by another Fordway process"):
        embedded.stop("one", state)
    member.release()
    server = the_server(state)
    assert (server.running, server.kept, server.uri) == (True, True, uri)
    assert server.bytes > 0
    assert embedded.stop("one", state)
    assert not embedded.stop("one", state)
    with pytest.raises(FordwayError, match="no embedded MongoDB 'two'"):
        embedded.stop("two", state)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 80])
def test_names(state: Path, name: str) -> None:
    """A name that would leave the state folder is refused."""
    with pytest.raises(FordwayError, match="no name for an embedded store"):
        embedded.join(name, state)
    assert not state.exists()


def test_no_mongod_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mongod the error says how to get one, and under which licence; a wrong path is named."""
    monkeypatch.setenv("FORDWAY_MONGOD", "/nowhere/mongod")
    with pytest.raises(FordwayError, match="FORDWAY_MONGOD names no program: /nowhere/mongod"):
        mongod.find_mongod()
    done = subprocess.run(
        [sys.executable, "-S", "-c", "from executor.stores.mongodb.mongod import find_mongod; find_mongod()"],
        cwd=ROOT,
        env={"PATH": "/nowhere", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "there is no mongod for an embedded store" in done.stderr


def test_a_server_that_would_not_start(state: Path) -> None:
    """Data of another kind in the folder: mongod's own last words, in one line, and nothing left running."""
    folder = state / "mongod" / "one" / "data"
    folder.mkdir(parents=True)
    (folder / "storage.bson").write_bytes(b"nonsense")
    with pytest.raises(FordwayError) as failed:
        embedded.join("one", state)
    assert "mongod would not start" in failed.value.message
    assert "\n" not in failed.value.message
    assert "mongod.log" in failed.value.hint
    assert not the_server(state).running


def test_ctrl_c_does_not_reach_it(state: Path) -> None:
    """The server has a process group of its own."""
    member = embedded.join("one", state)
    assert os.getpgid(the_server(state).pid) != os.getpgid(0)
    member.release()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A state folder that is a file is told in words."""
    (tmp_path / "mongod").write_text("in the way")
    with pytest.raises(FordwayError, match="cannot be made"):
        embedded.join("one", tmp_path)


def test_it_listens_on_loopback_only(state: Path) -> None:
    """Nobody else on the network can reach the server."""
    member = embedded.join("one", state)
    with pymongo.MongoClient[dict[str, object]](member.uri) as client:
        options = client.admin.command("getCmdLineOpts")["parsed"]
    assert options["net"]["bindIp"] == "127.0.0.1"
    member.release()
    assert json.dumps(options["storage"])
