"""The health, manual and unknown actions, against real endpoints."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compiler.model.plan import Step, Verdict
from executor.actions.health import HealthRunner
from executor.actions.manual import ManualRunner
from executor.actions.registry import RUNNERS, Registry
from executor.contract import Context, Outcome, StepFailed, Stopped, Waiting

MakeContext = Callable[..., Context]
MakeStep = Callable[..., Step]


class Endpoint(http.server.BaseHTTPRequestHandler):
    """``/ok`` and ``/moved`` answer at once, ``/late`` from the third time on, ``/hangs`` never."""

    asked = 0
    release = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/hangs":
            type(self).release.wait(60)
            return
        type(self).asked += 1
        status = {"/ok": 200, "/moved": 302, "/late": 200 if type(self).asked > 2 else 503}.get(
            self.path, 404
        )
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/ok")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The URL of a local HTTP server."""
    Endpoint.asked = 0
    Endpoint.release.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Endpoint.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def ask(params: dict[str, object], step: MakeStep, context: Context) -> Outcome:
    return HealthRunner().run(step("health", {"every": 0.05, "within": 0.5, **params}), context, {})


def test_http_answers(endpoint: str, step: MakeStep, context: MakeContext) -> None:
    """An endpoint with the expected status is healthy at the first question."""
    outcome = ask({"http": f"{endpoint}/ok"}, step, context())
    assert outcome == Outcome(result={"answer": "status 200", "asked": 1})


def test_http_is_asked_until_it_is_well(endpoint: str, step: MakeStep, context: MakeContext) -> None:
    """An endpoint that comes up late is asked again."""
    outcome = ask({"http": f"{endpoint}/late", "within": 30}, step, context())
    assert outcome.result == {"answer": "status 200", "asked": 3}


def test_http_with_another_status(endpoint: str, step: MakeStep, context: MakeContext) -> None:
    """The status is the endpoint's own: no redirect is followed, and another than 200 may be right."""
    assert ask({"http": f"{endpoint}/moved", "status": 302}, step, context()).result["asked"] == 1
    with pytest.raises(StepFailed, match=r"within 0.5 s.*the last one: status 302 \(to /ok\)") as caught:
        ask({"http": f"{endpoint}/moved"}, step, context())
    assert caught.value.verdict is Verdict.ABSENT


def test_http_that_never_answers(endpoint: str, step: MakeStep, context: MakeContext) -> None:
    """An endpoint that takes the question and says nothing is no answer."""
    with pytest.raises(StepFailed, match=r"nothing within 0\.3 s|no answer in time"):
        ask({"http": f"{endpoint}/hangs", "timeout": 0.3}, step, context())


def test_cancelled_while_it_waits(endpoint: str, step: MakeStep, context: MakeContext) -> None:
    """A run that stops does not wait for an endpoint that hangs."""
    asked = iter(range(3))

    def proceed() -> None:
        if next(asked, None) is None:
            raise Stopped

    with pytest.raises(Stopped):
        ask({"http": f"{endpoint}/hangs", "within": 600, "timeout": 600}, step, context(proceed=proceed))


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://localhost/", "localhost:80", "http://"])
def test_url_of_another_kind(url: str, step: MakeStep, context: MakeContext) -> None:
    """Only HTTP is asked; no URL reads a file."""
    with pytest.raises(StepFailed):
        ask({"http": url}, step, context())


def test_http_nobody_listens(closed_port: int, step: MakeStep, context: MakeContext) -> None:
    """Where nobody listens the last answer says so."""
    with pytest.raises(StepFailed, match="Connection refused"):
        ask({"http": f"http://127.0.0.1:{closed_port}/"}, step, context())


def test_http_that_is_not_http(step: MakeStep, context: MakeContext) -> None:
    """A server that speaks something else is not healthy."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        peer.recv(4096)
                        peer.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(StepFailed, match="220 mail"):
            ask({"http": f"http://127.0.0.1:{server.getsockname()[1]}/"}, step, context())
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_tcp(step: MakeStep, context: MakeContext, closed_port: int) -> None:
    """A port that accepts connections is healthy, one that does not is told."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert ask({"tcp": address}, step, context()).result["answer"] == "it accepts connections"
    with pytest.raises(StepFailed, match=rf"127.0.0.1:{closed_port} gave no good answer.*Connection refused"):
        ask({"tcp": f"127.0.0.1:{closed_port}"}, step, context())


@pytest.mark.parametrize("address", ["localhost", ":80", "localhost:http", "localhost:0", "localhost:70000"])
def test_tcp_address(address: str, step: MakeStep, context: MakeContext) -> None:
    """An address needs a host and a port."""
    with pytest.raises(StepFailed, match="is not host:port"):
        ask({"tcp": address}, step, context())


def test_command_is_asked_until_it_is_well(tmp_path: Path, step: MakeStep, context: MakeContext) -> None:
    """A command is healthy once it ends with status 0."""
    (tmp_path / "look.sh").write_text('echo x >> seen; test "$(wc -l < seen)" -ge 3 && echo three\n')
    outcome = ask({"command": ["sh", "look.sh"], "within": 60}, step, context())
    assert outcome.result == {"answer": "three", "asked": 3}


def test_command_that_is_never_well(step: MakeStep, context: MakeContext) -> None:
    """The last words of a failing command are in the failure."""
    with pytest.raises(StepFailed, match="it ended with exit status 2: behind by 40 s"):
        ask({"command": ["sh", "-c", "echo behind by 40 s; exit 2"]}, step, context())


def test_command_not_found(step: MakeStep, context: MakeContext) -> None:
    """A command that is not there will not come by waiting."""
    with pytest.raises(StepFailed, match="was not found"):
        ask({"command": ["no-such-program"], "within": 600}, step, context())


def test_store_that_is_not_there(step: MakeStep, context: MakeContext) -> None:
    """A store that the plan does not have is told at once."""
    with pytest.raises(StepFailed, match="there is no store 'legacy'"):
        ask({"store": "legacy", "within": 600}, step, context())


def test_nobody_to_ask(step: MakeStep, context: MakeContext) -> None:
    """A check that asks nobody is told what it may ask."""
    with pytest.raises(StepFailed, match="'store', 'http', 'tcp'"):
        ask({}, step, context())


def test_health_leaves_nothing(step: MakeStep, context: MakeContext) -> None:
    """A check in doubt had no effect, and there is nothing to take back."""
    it = step("health", {"tcp": "localhost:1"})
    assert HealthRunner().probe(it, context(), {}) is Verdict.ABSENT
    assert HealthRunner().undo(it, context(), {}) == Outcome()


def test_manual_waits_for_a_person(step: MakeStep, context: MakeContext) -> None:
    """A manual step shows its instructions, both ways, and only a person knows how far it came."""
    both = step("manual", {"instructions": "Stop the writers.", "undo": "Start the writers."})
    one = step("manual", {"instructions": "Stop the writers."})
    runner = ManualRunner()
    assert runner.run(both, context(), {}) == Waiting(instructions="Stop the writers.")
    assert runner.undo(both, context(), {}) == Waiting(instructions="Start the writers.")
    assert runner.undo(one, context(), {}) == Waiting(
        instructions="Take back by hand what was done here: Stop the writers."
    )
    assert runner.probe(both, context(), {}) is Verdict.UNKNOWN


def test_registry_has_every_action() -> None:
    """Each action has its runner, the same for all its steps."""
    assert sorted(RUNNERS) == [
        "backup", "bulk", "command", "health", "manual", "provision", "restore", "script", "verify",
    ]  # fmt: skip
    for kind in RUNNERS:
        assert RUNNERS[kind] is RUNNERS[kind]
        assert all(callable(getattr(RUNNERS[kind], verb)) for verb in ("prepare", "run", "probe", "undo"))


def test_unknown_action_lists_the_known() -> None:
    """A kind without a runner is refused with the kinds that there are."""
    with pytest.raises(StepFailed, match="no action 'bulky'") as caught:
        RUNNERS["bulky"]
    assert "bulk, command, health, manual" in caught.value.hint
    assert "bulky" not in RUNNERS


def test_registry_refuses_duplicates() -> None:
    """Two runners for one kind are a mistake in the program."""
    registry = Registry()
    registry.serves("manual")(ManualRunner)
    with pytest.raises(ValueError, match="'manual' has a runner already"):
        registry.serves("manual")(HealthRunner)
