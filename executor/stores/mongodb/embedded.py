"""Embedded servers, shared by every Fordway process that uses the same state folder.

``<state>/mongod/<name>/`` holds the data, ``server.pid`` and two lock
files. A process that uses the server holds a shared lock on ``users.lock`` for as long; the last one
stops the server. Starting and stopping happen under an exclusive lock on ``start.lock``. Locks are
flock(2): the kernel lets go of a killed process's, so that a crash leaves nothing but a running server,
which the next process takes as it is.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from executor.contract import FordwayError
from executor.stores.mongodb import mongod

LOCKED_WITHIN = 150.0
"""Seconds that a process waits for another one that starts or stops the server."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_STARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """An embedded server as it stands. ``kept``: it goes on when nobody uses it. ``bytes`` on disk."""

    name: str
    running: bool
    uri: str = ""
    pid: int = 0
    kept: bool = False
    bytes: int = 0


class Membership:
    """One use of an embedded server; :meth:`release` ends it."""

    def __init__(self, folder: Path, users: int, port: int) -> None:
        self.uri = mongod.uri_of(port)
        self._folder = folder
        self._users: int | None = users

    def release(self) -> None:
        """Stop using the server; the last one stops it, unless it is to be kept. May be called twice."""
        if self._users is None:
            return
        users, self._users = self._users, None
        import fcntl

        try:
            with _starting(self._folder):
                fcntl.flock(users, fcntl.LOCK_UN)
                if not (self._folder / "keep").exists() and _alone(users):
                    _end(self._folder)
        finally:
            os.close(users)


def join(name: str, state: Path) -> Membership:
    """Use the embedded server of that name: the one that runs, or one that is started now. Raises
    FordwayError."""
    folder = _folder(name, state)
    import fcntl

    with _starting(folder):
        users = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(users, fcntl.LOCK_SH)
            port = _running(folder) or _start(folder)
        except BaseException:
            os.close(users)
            raise
    return Membership(folder, users, port)


def start_and_keep(name: str, state: Path) -> str:
    """Start the server, and let it run until :func:`stop`. Returns its URI. Raises FordwayError."""
    folder = _folder(name, state)
    with _starting(folder):
        port = _running(folder) or _start(folder)
        (folder / "keep").touch()
    return mongod.uri_of(port)


def stop(name: str, state: Path) -> bool:
    """Stop the server; False if it did not run. Raises FordwayError if another process uses it."""
    folder = _folder(name, state, create=False)
    with _starting(folder):
        users = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _alone(users):
                raise FordwayError(
                    f"the embedded MongoDB '{name}' is in use by another Fordway process",
                    hint="wait for its run to end",
                )
            ran = _found(folder) is not None
            (folder / "keep").unlink(missing_ok=True)
            _end(folder)
        finally:
            os.close(users)
    return ran


def list_servers(state: Path) -> list[Embedded]:
    """The embedded servers of a state folder, by name."""
    root = state / "mongod"
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not (folder / "data").is_dir():
            continue
        process = _found(folder.resolve())
        found.append(
            Embedded(
                name=folder.name,
                running=process is not None,
                uri=mongod.uri_of(process[0]) if process else "",
                pid=process[1] if process else 0,
                kept=(folder / "keep").exists(),
                bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
            )
        )
    return found


def _folder(name: str, state: Path, *, create: bool = True) -> Path:
    if os.name != "posix":
        raise FordwayError(
            "embedded MongoDB stores need Linux or macOS", hint="give the store the URI of a server"
        )
    if not _NAME.fullmatch(name):
        raise FordwayError(
            f"'{name}' is no name for an embedded store", hint="letters, digits, dots, dashes, underscores"
        )
    folder = (state / "mongod" / name).resolve()
    if create:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FordwayError(f"{folder} cannot be made: {error.strerror}") from error
    elif not folder.is_dir():
        raise FordwayError(f"there is no embedded MongoDB '{name}' in {state}")
    return folder


@contextmanager
def _starting(folder: Path) -> Iterator[None]:
    """Nobody else starts or stops this server meanwhile."""
    import fcntl

    until = time.monotonic() + LOCKED_WITHIN
    file = os.open(folder / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise FordwayError(
                        f"another process has been starting or stopping the server in {folder} for"
                        f" {LOCKED_WITHIN:.0f} s"
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(file)


def _alone(users: int) -> bool:
    """Whether nobody but the caller has the file locked (the caller's own lock must be gone)."""
    import fcntl

    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _found(folder: Path) -> tuple[int, int] | None:
    """(port, pid) of the process over that folder; None if there is none. Its starter may have been killed
    before it wrote the pid down: mongod does so itself too."""
    for pid in (_pid_written(folder / "server.pid"), _pid_written(folder / "data" / "mongod.lock")):
        port = mongod.port_over(folder, pid)
        if port is not None:
            return port, pid
    return None


def _running(folder: Path) -> int | None:
    """The port of the server over that folder, once it is a primary; None if none runs. Raises
    MongodFailed if it runs and does not answer."""
    found = _found(folder)
    if found is None:
        return None
    # Killed between the start and the first answer, its starter may have left the rest to us.
    mongod.wait_until_primary(folder, found[0], None)
    return found[0]


def _start(folder: Path) -> int:
    for attempt in range(1, _STARTS + 1):
        port = mongod.free_port()
        process = mongod.spawn(folder, port)
        (folder / "server.pid").write_text(str(process.pid))
        try:
            mongod.wait_until_primary(folder, port, process)
        except mongod.MongodFailed as error:
            if process.poll() is None:
                mongod.end(process.pid)
            if not error.port_taken or attempt == _STARTS:
                raise
        except BaseException:
            mongod.end(process.pid)
            raise
        else:
            # It is no child to wait for: it may outlive this process.
            process.returncode = 0
            return port
    raise AssertionError("unreachable")


def _end(folder: Path) -> None:
    found = _found(folder)
    if found is not None:
        mongod.end(found[1])
    (folder / "server.pid").unlink(missing_ok=True)


def _pid_written(path: Path) -> int:
    try:
        return int(path.read_text().strip() or 0)
    except (OSError, ValueError):
        return 0
