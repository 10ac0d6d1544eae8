"""Child processes: started, heard, ended with everything that they started themselves.

A child leads a process group of its own. On a timeout, on a cancelled run and on a failure the whole
group gets SIGTERM and, five seconds later, SIGKILL; should this process die first, :mod:`executor.watchdog`
kills it. What the child says goes to a log file as it comes, with secrets masked; of it only the last
lines are kept in memory. POSIX only.
"""

from __future__ import annotations

import atexit
import math
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.model.plan import Verdict
from executor.contract import LeaseLost, StepFailed
from executor.watchdog import signal_group

POLL = 0.2
"""Seconds between two questions whether the run still wants the child to go on."""

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

LOG_LIMIT = 256 * 1024 * 1024
"""Bytes that one child may add to its log; a command that runs wild must not fill the disk that the
journal is on."""

_TAIL = 16 * 1024
_LINES = 15
_LINE = 300
_SHORTEST_SECRET = 4  # masking every "1" would leave a log that nobody can read
_LINGER = 1.0  # seconds to wait for output once the child has ended but others hold its pipe
_MASK = b"***"

# ANSI escape sequences (ECMA-48: CSI, OSC, two-byte ones) and control characters but for the tab.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start. ``env`` is the child's whole environment; ``secrets`` are values that must not
    show in its log or in a message."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    secrets: Sequence[str] = ()

    def __str__(self) -> str:
        text = shlex.join(self.argv)
        return text if len(text) <= 200 else text[:200] + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a child ended. ``status`` is its exit status, or minus the signal's number; None if it was
    ended because its time (``timeout``, in seconds) was over. ``tail`` are the last lines it said.

    ``background``: processes that it started are still running. ``unlogged`` says why the log does
    not hold everything, empty if it does.
    """

    status: int | None
    tail: tuple[str, ...]
    log: Path
    timeout: float | None = None
    background: bool = False
    unlogged: str = ""

    def __str__(self) -> str:
        if self.status is None:
            return f"was ended after its timeout of {self.timeout:g} s"
        if self.status < 0:
            return f"was killed by {_signal_name(-self.status)}"
        return f"ended with exit status {self.status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class _Watchdog:
    """The one watchdog of this process, started with the first child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, group: int) -> None:
        with self._lock:
            self._groups.add(group)
            self._tell(b"+%d\n" % group)

    def discard(self, group: int) -> None:
        with self._lock:
            self._groups.discard(group)
            self._tell(b"-%d\n" % group)

    def close(self) -> None:
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                self._process.wait()
                self._process = None

    def _tell(self, line: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(line)
                return
            except BrokenPipeError:  # somebody ended the watchdog: a new one learns of all groups
                self._process.stdin.close()
                self._process.wait()
        script = Path(__file__).with_name("watchdog.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdin is not None
        for group in sorted(self._groups):
            self._process.stdin.write(b"+%d\n" % group)


_WATCHDOG = _Watchdog()
atexit.register(_WATCHDOG.close)


class Mask:
    """Replaces secrets in a stream of bytes, also where a secret comes in two pieces.

    >>> mask = Mask(["hunter2"])
    >>> mask.feed(b"password hun") + mask.feed(b"ter2, hum") + mask.flush()
    b'password ***, hum'
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # A key of several lines is told line by line by most programs that tell it at all.
        pieces = {piece for secret in secrets for piece in (secret, secret.strip(), *secret.splitlines())}
        known = {piece.encode("utf-8", "surrogateescape") for piece in pieces}
        self._secrets = sorted((s for s in known if len(s) >= _SHORTEST_SECRET), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets))) if self._secrets else None
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What may be told of the stream so far and was not yet."""
        if self._pattern is None:
            return chunk
        data = self._held + chunk
        cut = len(data) - self._begun(data)
        for match in self._pattern.finditer(data):
            if match.start() < cut < match.end():
                cut = match.end()
        self._held = data[cut:]
        return self._pattern.sub(_MASK, data[:cut])

    def flush(self) -> bytes:
        """The rest, at the stream's end."""
        rest, self._held = self._held, b""
        return self._pattern.sub(_MASK, rest) if self._pattern else rest

    def _begun(self, data: bytes) -> int:
        """How many of the last bytes may be the beginning of a secret."""
        longest = min(len(data), len(self._secrets[0]) - 1)
        for length in range(longest, 0, -1):
            end = data[-length:]
            if any(len(secret) > length and secret.startswith(end) for secret in self._secrets):
                return length
        return 0


class _Log:
    """Where a child's output goes: masked, to the end of a file and to a short memory of the end."""

    def __init__(self, path: Path, secrets: Sequence[str], limit: int) -> None:
        self.problem = ""
        self._mask = Mask(secrets)
        self._tail = bytearray()
        self._limit = self._room = limit
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def head(self, line: str) -> None:
        """Write a line that the child did not say."""
        data = line.encode("utf-8", "surrogateescape")
        self._keep(self._mask.feed(data) + self._mask.flush())

    def write(self, chunk: bytes) -> None:
        self._tell(self._mask.feed(chunk))

    def close(self) -> None:
        self._tell(self._mask.flush())
        self._file.close()

    def lines(self) -> tuple[str, ...]:
        """The last lines, made safe to show: decoded, without escapes, blank lines and overlength."""
        text = bytes(self._tail).decode("utf-8", "replace")
        shown = [_ESCAPES.sub("", line).rstrip() for line in re.split(r"[\r\n]+", text)]
        kept = [line for line in shown if line][-_LINES:]
        return tuple(line if len(line) <= _LINE else line[:_LINE] + "…" for line in kept)

    def _tell(self, data: bytes) -> None:
        self._tail += data
        del self._tail[:-_TAIL]
        self._keep(data)

    def _keep(self, data: bytes) -> None:
        if self.problem:
            return
        left_out = len(data) > self._room
        data = data[: self._room]
        self._room -= len(data)
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:  # the child must not fail because the disk of its log is full
            self.problem = f"the log could not be written: {error.strerror}"
        else:
            if left_out:
                self.problem = f"the log holds the first {self._limit >> 20} MB only"


def run_process(
    command: Command,
    log: Path,
    *,
    timeout: float | None,
    proceed: Callable[[], None],
    grace: float = GRACE,
    log_limit: int = LOG_LIMIT,
) -> Ended:
    """Run ``command`` to its end and tell how it ended.

    The output is added to the file ``log``, ``log_limit`` bytes of it. ``timeout`` and ``grace`` (between
    SIGTERM and SIGKILL) are in seconds. ``proceed`` is called every :data:`POLL` seconds; what it raises
    ends the child (at once if the lease is lost) and is raised again, but for StepFailed, by which it says
    that the time is over. A child that ends well may leave processes in the background; one that does not
    may not. Raises StepFailed with the verdict ABSENT if the child could not be started.
    """
    out = _open_log(log, command.secrets, log_limit)
    try:
        out.head(f"$ {command}\n")
        child = _Child(_start(command), out)
        try:
            _WATCHDOG.add(child.group)
            status = child.follow(timeout, proceed)
            background = status == 0 and signal_group(child.group, 0)
            if status != 0:
                child.end(grace)
        except LeaseLost:
            # Another run may act on the same targets from now on.
            child.end(0.0)
            raise
        except BaseException:
            child.end(grace)
            raise
        finally:
            _WATCHDOG.discard(child.group)
            child.close()
    finally:
        out.close()
    return Ended(
        status=status,
        tail=out.lines(),
        log=log,
        timeout=timeout if status is None else None,
        background=background,
        unlogged=out.problem,
    )


def _open_log(path: Path, secrets: Sequence[str], limit: int) -> _Log:
    try:
        return _Log(path, secrets, limit)
    except OSError as error:
        raise StepFailed(
            f"the log {path} cannot be written: {error.strerror}", verdict=Verdict.ABSENT
        ) from error


def _start(command: Command) -> subprocess.Popen[bytes]:
    name = command.argv[0] if command.argv else ""
    if not command.cwd.is_dir():
        raise StepFailed(f"the folder {command.cwd} to run '{name}' in is not there", verdict=Verdict.ABSENT)
    try:
        return subprocess.Popen(
            list(command.argv),
            cwd=command.cwd,
            env=dict(command.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
    except FileNotFoundError as error:
        raise StepFailed(
            f"the command '{name}' was not found",
            hint="it must be on PATH or a path from the folder it runs in; a script's first line"
            " must name an interpreter that is there",
            verdict=Verdict.ABSENT,
        ) from error
    except PermissionError as error:
        raise StepFailed(
            f"the command '{name}' may not be executed",
            hint=f"chmod +x {name}, or name the interpreter",
            verdict=Verdict.ABSENT,
        ) from error
    except (OSError, ValueError, IndexError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StepFailed(
            f"the command '{name}' cannot be started: {reason}", verdict=Verdict.ABSENT
        ) from error


class _Child:
    """A running child, whose output is heard by whoever waits for it."""

    def __init__(self, process: subprocess.Popen[bytes], log: _Log) -> None:
        assert process.stdout is not None
        self._process = process
        self._pipe = process.stdout
        self._log = log
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)
        self._heard = True
        self.group = process.pid

    def close(self) -> None:
        self._pipe.close()

    def follow(self, timeout: float | None, proceed: Callable[[], None]) -> int | None:
        """Hear the child until it has ended; its status, or None once its time is over."""
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        question = time.monotonic() + POLL
        while (status := self._process.poll()) is None:
            now = time.monotonic()
            if now >= deadline:
                return None
            if now >= question:
                try:
                    proceed()
                except StepFailed:  # the step's time, which began before the child's, is over
                    return None
                question = now + POLL
            self._hear(max(0.0, min(question, deadline) - now))
        end = time.monotonic() + _LINGER
        while self._heard and (left := end - time.monotonic()) > 0:
            self._hear(left)
        return status

    def end(self, grace: float) -> None:
        """End the child and its group: SIGTERM, and SIGKILL after ``grace`` seconds. Raises StepFailed
        if it does not die."""
        # The group's number stays taken as long as anybody is in it, so that it cannot mean others.
        if grace and signal_group(self.group, signal.SIGTERM):
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline and signal_group(self.group, 0):
                self._hear(0.02)
                self._process.poll()
        if self._process.returncode is None or signal_group(self.group, 0):
            signal_group(self.group, signal.SIGKILL)
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            raise StepFailed(f"process {self.group} cannot be killed; it is still running") from None

    def _hear(self, seconds: float) -> None:
        """Take what the child says; wait up to ``seconds`` for it (or for its end, once it is silent)."""
        if self._heard:
            if self._poll.poll(seconds * 1000):
                chunk = os.read(self._pipe.fileno(), 65536)
                self._log.write(chunk)
                self._heard = bool(chunk)
        elif self._process.returncode is None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return
        else:
            time.sleep(seconds)
