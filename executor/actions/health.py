"""The ``health`` action: ask until the answer is good, or the time is over."""

from __future__ import annotations

import http.client
import queue
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import IO, Protocol, runtime_checkable

from compiler.model.plan import JsonObject, Step, Verdict
from executor.actions import params
from executor.actions.children import Direction, invoke
from executor.contract import Context, FordwayError, Outcome, StepFailed
from executor.processes import POLL

Proceed = Callable[[], None]
Question = Callable[[float, Proceed], str]
"""Asks once, for so many seconds at most: the answer in words if it is good, else raises BadAnswer."""


class BadAnswer(Exception):
    """An answer that is not good (yet), in words."""


@runtime_checkable
class Pingable(Protocol):
    """A store that can be asked whether it is there. Raises StoreError if it is not."""

    def ping(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """In seconds: how long to ask in all, how often, and how long to wait for one answer."""

    within: float
    every: float
    answer: float

    @classmethod
    def of(cls, step: Step) -> Patience:
        within = params.number(step.params, "within", 30.0)
        if step.timeout is not None:
            within = min(within, step.timeout)
        return cls(
            within=within,
            every=params.number(step.params, "every", 1.0),
            answer=params.number(step.params, "timeout", 10.0),
        )


class HealthRunner:
    """Asks a store, an HTTP endpoint, a TCP port or a command. It changes nothing."""

    def prepare(self, step: Step, context: Context) -> JsonObject:  # noqa: ARG002
        return {}

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        name, question = question_of(step, context)
        answer, asked = _persist(question, name, Patience.of(step), context.proceed)
        return Outcome(result={"answer": answer, "asked": asked})

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:  # noqa: ARG002
        return Verdict.ABSENT

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        return Outcome()


def question_of(step: Step, context: Context) -> tuple[str, Question]:
    """Who is asked, in words, and how. Raises StepFailed if the step does not say whom."""
    values = step.params
    if "store" in values:
        name = params.text(values, "store")
        return f"store '{name}'", _left_behind(lambda _: _ping(context, name))
    if "http" in values:
        url = params.text(values, "http")
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise StepFailed(f"'{url}' is not an http(s) URL", verdict=Verdict.ABSENT)
        status = int(params.number(values, "status", 200))
        return url, _left_behind(lambda seconds: _get(url, status, seconds))
    if "tcp" in values:
        host, port = _address(params.text(values, "tcp"))
        return f"{host}:{port}", _left_behind(lambda seconds: _connect(host, port, seconds))
    argv = params.words(values, "command")
    if argv:
        return f"`{argv[0]}`", lambda seconds, _: _execute(step, context, argv, seconds)
    raise StepFailed("a health check asks a 'store', 'http', 'tcp' or a 'command'", verdict=Verdict.ABSENT)


def _persist(question: Question, name: str, patience: Patience, proceed: Proceed) -> tuple[str, int]:
    """Ask until the answer is good; it, and how often it took."""
    end = time.monotonic() + patience.within
    asked = 0
    while True:
        proceed()
        asked += 1
        began = time.monotonic()
        try:
            # However late it is: a question gets a second for its answer.
            return question(min(patience.answer, max(end - began, 1.0)), proceed), asked
        except BadAnswer as bad:
            answer = str(bad)
        except FordwayError as error:
            if not error.transient:
                raise StepFailed(error.message, hint=error.hint, verdict=Verdict.ABSENT) from error
            answer = error.message
        again = began + patience.every
        if max(again, time.monotonic()) >= end:
            times = "once" if asked == 1 else f"{asked} times"
            raise StepFailed(
                f"{name} gave no good answer within {patience.within:g} s (asked {times});"
                f" the last one: {answer}",
                verdict=Verdict.ABSENT,
            )
        while (left := again - time.monotonic()) > 0:
            time.sleep(min(left, POLL))
            proceed()


def _left_behind(ask: Callable[[float], str]) -> Question:
    """A question that may hang in a driver or in the network, asked in a thread of its own: a cancelled
    run does not wait for it. It changes nothing, so it may be left to end by itself."""

    def question(seconds: float, proceed: Proceed) -> str:
        answers: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()

        def work() -> None:
            try:
                answers.put(ask(seconds))
            except Exception as error:  # noqa: BLE001 - raised again by whoever waits
                answers.put(error)

        threading.Thread(target=work, name="health", daemon=True).start()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                answer = answers.get(timeout=min(left, POLL))
            except queue.Empty:
                proceed()
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer
        raise BadAnswer(f"nothing within {seconds:g} s")

    return question


def _ping(context: Context, name: str) -> str:
    store = context.stores.open(name)
    if not isinstance(store, Pingable):
        raise StepFailed(f"store '{name}' cannot be asked how it is", verdict=Verdict.ABSENT)
    store.ping()
    return "it answers"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The status asked for is the endpoint's own, not that of a login page it sends us to."""

    def redirect_request(
        self,
        req: urllib.request.Request,  # noqa: ARG002
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: Message,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> None:
        return None


def _get(url: str, expected: int, seconds: float) -> str:
    request = urllib.request.Request(url, headers={"User-Agent": "fordway", "Accept": "*/*"})
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=seconds) as response:
            status, location = response.status, None
    except urllib.error.HTTPError as error:
        with error:
            status, location = error.code, error.headers.get("Location")
    except urllib.error.URLError as error:
        raise BadAnswer(_reason(error.reason)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise BadAnswer(_reason(error)) from None
    if status != expected:
        raise BadAnswer(f"status {status}" + (f" (to {location})" if location else ""))
    return f"status {status}"


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _address(text: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[v6]:port``."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise StepFailed(f"'{text}' is not host:port", verdict=Verdict.ABSENT)
    return host.removeprefix("[").removesuffix("]"), int(port)


def _connect(host: str, port: int, seconds: float) -> str:
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return "it accepts connections"
    except OSError as error:
        raise BadAnswer(_reason(error)) from None


def _execute(step: Step, context: Context, argv: tuple[str, ...], seconds: float) -> str:
    ended = invoke(
        step,
        context,
        argv,
        direction=Direction.FORWARD,
        env=params.mapping(step.params, "env"),
        cwd=context.base / params.text(step.params, "cwd", "."),
        timeout=seconds,
    )
    if ended.status != 0:
        raise BadAnswer(": ".join([f"it {ended}", *ended.tail[-1:]]))
    return ended.tail[-1] if ended.tail else "exit status 0"
