"""Child processes: how they end, what is kept of their words, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.model.plan import Verdict
from executor import processes
from executor.contract import LeaseLost, StepFailed, Stopped
from executor.processes import Command, Ended, Mask, run_process


def run(
    argv: list[str],
    folder: Path,
    *,
    timeout: float | None = 60.0,
    proceed: Callable[[], None] = lambda: None,
    secrets: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    grace: float = processes.GRACE,
    log_limit: int = processes.LOG_LIMIT,
) -> Ended:
    command = Command(argv=argv, cwd=folder, env={**os.environ, **(env or {})}, secrets=secrets)
    log = folder / "logs" / "it.log"
    return run_process(command, log, timeout=timeout, proceed=proceed, grace=grace, log_limit=log_limit)


def shell(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def python(text: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(text)]


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


def gone(pid: int) -> bool:
    """Whether a process is gone, now or soon."""
    deadline = time.monotonic() + 20
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def pid_in(path: Path) -> int:
    """The process id that a child writes to a file."""
    deadline = time.monotonic() + 20
    while not (path.is_file() and path.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(path.read_text())


def test_both_streams_reach_log_in_order(tmp_path: Path) -> None:
    """Standard output and standard error share one log, in the order in which they were written."""
    ended = run(shell("echo one; echo two >&2; echo three"), tmp_path)
    assert ended.status == 0
    assert ended.log.read_text().splitlines()[1:] == ["one", "two", "three"]
    assert ended.tail[-3:] == ("one", "two", "three")


def test_log_grows_over_calls(tmp_path: Path) -> None:
    """A second child of the same attempt adds to the log instead of replacing it."""
    run(shell("echo first"), tmp_path)
    log = run(shell("echo second"), tmp_path).log.read_text()
    assert "first\n" in log
    assert "second\n" in log


def test_status_of_a_failure(tmp_path: Path) -> None:
    """A child's exit status is told as it is."""
    ended = run(shell("echo no room >&2; exit 3"), tmp_path)
    assert ended.status == 3
    assert str(ended) == "ended with exit status 3"


def test_signal_is_named(tmp_path: Path) -> None:
    """A child that a signal killed is told with the signal's name."""
    ended = run(shell("kill -SEGV $$"), tmp_path)
    assert ended.status == -signal.SIGSEGV
    assert str(ended) == "was killed by SIGSEGV"


def test_child_has_no_terminal_to_wait_for(tmp_path: Path) -> None:
    """A child that reads its standard input finds its end at once."""
    assert run(shell("read line || echo nobody"), tmp_path).tail[-1] == "nobody"


def test_command_not_found(tmp_path: Path) -> None:
    """A program that is not there leaves nothing behind, and says so."""
    with pytest.raises(StepFailed, match="'no-such-program' was not found") as caught:
        run(["no-such-program"], tmp_path)
    assert caught.value.verdict is Verdict.ABSENT


def test_command_that_is_no_program(tmp_path: Path) -> None:
    """A file that may not be executed is refused with the way to make it so."""
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(StepFailed, match="may not be executed") as caught:
        run([str(tmp_path / "notes.txt")], tmp_path)
    assert "chmod" in caught.value.hint
    assert caught.value.verdict is Verdict.ABSENT


@pytest.mark.parametrize("argv", [[], [""], ["echo\0"], ["echo", "a\0b"], ["/bin/echo", "x" * 3_000_000]])
def test_argv_that_no_system_takes(tmp_path: Path, argv: list[str]) -> None:
    """An argument list that cannot be started is a plain failure, not a traceback."""
    with pytest.raises(StepFailed) as caught:
        run(argv, tmp_path)
    assert caught.value.verdict is Verdict.ABSENT


def test_missing_folder(tmp_path: Path) -> None:
    """A working folder that is not there is named."""
    command = Command(argv=["true"], cwd=tmp_path / "away", env={})
    with pytest.raises(StepFailed, match="away") as caught:
        run_process(command, tmp_path / "it.log", timeout=None, proceed=lambda: None)
    assert caught.value.verdict is Verdict.ABSENT


def test_timeout_ends_grandchildren(tmp_path: Path) -> None:
    """When a child's time is over, what it started goes with it."""
    ended = run(shell("sleep 600 & echo $! > pid; wait"), tmp_path, timeout=0.5)
    assert ended.status is None
    assert str(ended) == "was ended after its timeout of 0.5 s"
    assert gone(pid_in(tmp_path / "pid"))


def test_timeout_kills_what_ignores_sigterm(tmp_path: Path) -> None:
    """A group that will not end at SIGTERM is killed."""
    script = """
        import os, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if len(sys.argv) == 1:
            open("pid", "w").write(str(subprocess.Popen([sys.executable, "-c", open("me").read(), "x"]).pid))
        time.sleep(600)
    """
    (tmp_path / "me").write_text(textwrap.dedent(script))
    ended = run(python(script), tmp_path, timeout=1.0, grace=0.5)
    assert ended.status is None
    assert gone(pid_in(tmp_path / "pid"))


def test_last_words_after_sigterm_are_heard(tmp_path: Path) -> None:
    """What a child says while it ends is in the log, more than a pipe holds included."""
    script = """
        import signal, sys, time
        def end(*_):
            print("x" * 200_000)
            sys.exit("put away")
        signal.signal(signal.SIGTERM, end)
        print("ready", flush=True)
        time.sleep(600)
    """
    ended = run(python(script), tmp_path, timeout=1.0)
    assert ended.status is None
    assert ended.tail[-1] == "put away"


def test_cancelled_run_ends_child(tmp_path: Path) -> None:
    """A run that is told to stop ends its child and everything under it, and the call raises."""

    def proceed() -> None:
        if (tmp_path / "pid").exists():
            raise Stopped

    with pytest.raises(Stopped):
        run(shell("sleep 600 & echo $! > pid; wait"), tmp_path, proceed=proceed)
    assert gone(pid_in(tmp_path / "pid"))


def test_time_may_be_over_for_the_run_first(tmp_path: Path) -> None:
    """Where the run's own clock says first that the step's time is over, the child's words are not lost."""

    def proceed() -> None:
        if (tmp_path / "ready").exists():
            raise StepFailed("took too long")

    ended = run(shell("echo half-way; touch ready; sleep 600"), tmp_path, timeout=600.0, proceed=proceed)
    assert ended.status is None
    assert ended.tail == ("half-way",)


def test_lost_lease_kills_at_once(tmp_path: Path) -> None:
    """Who no longer owns the run does not let its child take leave."""

    def proceed() -> None:
        if (tmp_path / "ready").exists():
            raise LeaseLost("taken over")

    with pytest.raises(LeaseLost):
        run(shell("trap 'touch said-goodbye' TERM; touch ready; sleep 600 & wait"), tmp_path, proceed=proceed)
    assert not (tmp_path / "said-goodbye").exists()


def test_failure_leaves_nothing_running(tmp_path: Path) -> None:
    """Behind a command that failed nothing goes on moving while the rollback begins."""
    ended = run(shell("sleep 600 >/dev/null 2>&1 & echo $! > pid; exit 1"), tmp_path)
    assert ended.status == 1
    assert gone(pid_in(tmp_path / "pid"))


def test_success_may_leave_a_service(tmp_path: Path) -> None:
    """A command that ends well may leave a process in the background, even one that holds its output."""
    ended = run(shell("sleep 600 & echo $! > pid; echo started"), tmp_path)
    pid = pid_in(tmp_path / "pid")
    try:
        assert ended.status == 0
        assert ended.background
        assert ended.tail[-1] == "started"
        assert alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_child_that_closes_its_output(tmp_path: Path) -> None:
    """A child that closes its output is still waited for."""
    ended = run(shell("exec >&- 2>&-; sleep 0.5; touch done; exit 4"), tmp_path)
    assert ended.status == 4
    assert (tmp_path / "done").exists()


def test_no_zombies(tmp_path: Path) -> None:
    """Every child is reaped, however it ended."""
    run(shell("exit 0"), tmp_path)
    run(shell("exit 1"), tmp_path)
    run(shell("kill -KILL $$"), tmp_path)
    run(shell("sleep 600"), tmp_path, timeout=0.2)
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids]
    assert "Z" not in states


def test_loud_child_does_not_fill_memory(tmp_path: Path) -> None:
    """A hundred megabytes of output go to the log, and memory does not grow with them."""
    script = """
        import resource
        from pathlib import Path
        from executor.processes import Command, run_process
        import os
        def run(size):
            shown = "yes a line of some length | head -c " + str(size)
            command = Command(argv=["/bin/sh", "-c", shown], cwd=Path("."), env=dict(os.environ))
            ended = run_process(command, Path("it.log"), timeout=None, proceed=lambda: None)
            assert ended.status == 0 and ended.tail[-2] == "a line of some length", ended
        run(1_000_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        run(100_000_000)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    root = Path(__file__).parents[2]
    grown = subprocess.run(
        python(script),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert int(grown.stdout) < 16 * 1024
    assert (tmp_path / "it.log").stat().st_size > 101_000_000


def test_log_has_a_limit(tmp_path: Path) -> None:
    """A command that runs wild does not fill the disk; what it said last is known all the same."""
    ended = run(shell("yes | head -c 3000000; echo the end"), tmp_path, log_limit=1 << 20)
    assert ended.log.stat().st_size == 1 << 20
    assert ended.tail[-1] == "the end"
    assert "first 1 MB" in ended.unlogged


def test_full_disk_of_log_is_not_childs_failure(tmp_path: Path) -> None:
    """A log that cannot grow is told, and the child runs to its own end."""
    script = """
        import os, resource, signal
        from pathlib import Path
        from executor.processes import Command, run_process
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
        command = Command(
            argv=["/bin/sh", "-c", "yes | head -c 1000000; echo the end"], cwd=Path("."), env=dict(os.environ)
        )
        ended = run_process(command, Path("it.log"), timeout=None, proceed=lambda: None)
        print(ended.status, ended.tail[-1], ended.unlogged)
    """
    root = Path(__file__).parents[2]
    told = subprocess.run(
        python(script),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "0 the end the log could not be written: File too large"


def test_log_that_cannot_be_opened(tmp_path: Path) -> None:
    """Without a log nothing is started."""
    (tmp_path / "logs").write_text("a file where the folder should be")
    with pytest.raises(StepFailed, match="cannot be written") as caught:
        run(shell("touch started"), tmp_path)
    assert caught.value.verdict is Verdict.ABSENT
    assert not (tmp_path / "started").exists()


def test_binary_output(tmp_path: Path) -> None:
    """Bytes that are no text reach the log as they are and the last lines as something that can be shown."""
    ended = run(python(r"import os; os.write(1, b'\xff\xfe\x00bin\x1b[31mary\x1b[0m\r\n\xf0\x9f')"), tmp_path)
    assert ended.log.read_bytes().endswith(b"\xff\xfe\x00bin\x1b[31mary\x1b[0m\r\n\xf0\x9f")
    assert ended.tail[-2:] == ("��binary", "�")


def test_secret_is_masked_in_log_and_tail(tmp_path: Path) -> None:
    """What came from a secret reference shows nowhere, though the child tells it, in pieces too."""
    script = """
        import os, sys, time
        secret = os.environ["TOKEN"]
        print("token", secret, flush=True)
        sys.stdout.write(secret[:5]); sys.stdout.flush(); time.sleep(0.3); print(secret[5:])
        sys.exit("bad key " + secret)
    """
    ended = run(python(script), tmp_path, secrets=("correct horse",), env={"TOKEN": "correct horse"})
    assert b"correct" not in ended.log.read_bytes()
    assert ended.tail[-3:] == ("token ***", "***", "bad key ***")


def test_secret_of_several_lines_is_masked_line_by_line(tmp_path: Path) -> None:
    """A key file's lines are masked where they stand alone."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END KEY-----\n"
    ended = run(shell("echo MIIEvQIBADAN; echo BgkqhkiG9w0B"), tmp_path, secrets=(key,))
    assert ended.tail[-2:] == ("***", "***")


@given(
    st.lists(st.text("abc", min_size=4, max_size=6), min_size=1, max_size=3, unique=True),
    st.lists(st.text("abcd", max_size=9), max_size=8),
)
def test_mask_lets_no_secret_through(secrets: list[str], pieces: list[str]) -> None:
    """However a stream is cut, no secret shows in what is told, and nothing but secrets is left out."""
    mask = Mask(secrets)
    told = b"".join(mask.feed(piece.encode()) for piece in pieces) + mask.flush()
    text = "".join(pieces)
    assert not any(secret.encode() in told for secret in secrets)
    if not any(secret in text for secret in secrets):
        assert told == text.encode()


def test_child_dies_with_its_executor(tmp_path: Path) -> None:
    """After kill -9 of the executor neither the command nor what it started goes on."""
    script = """
        import os
        from pathlib import Path
        from executor.processes import Command, run_process
        command = Command(
            argv=["/bin/sh", "-c", "echo $$ > leader; sleep 600 & echo $! > pid; wait"],
            cwd=Path("."),
            env=dict(os.environ),
        )
        run_process(command, Path("it.log"), timeout=None, proceed=lambda: None)
    """
    root = Path(__file__).parents[2]
    executor = subprocess.Popen(
        python(script), cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, stdin=subprocess.DEVNULL
    )
    leader, child = pid_in(tmp_path / "leader"), pid_in(tmp_path / "pid")
    executor.kill()
    executor.wait()
    assert gone(leader)
    assert gone(child)


def test_ended_watchdog_is_replaced(tmp_path: Path) -> None:
    """Somebody who ends the watchdog does not end the guard over the next children."""
    run(shell("true"), tmp_path)
    watchdog = processes._WATCHDOG._process
    assert watchdog is not None
    watchdog.kill()
    watchdog.wait()
    assert run(shell("echo well"), tmp_path).tail[-1] == "well"
    replaced = processes._WATCHDOG._process
    assert replaced is not None
    assert replaced.pid != watchdog.pid
