"""What a run shows while it goes on, on standard error: a live table on a terminal, plain lines
elsewhere, at least one in two seconds while something runs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout

import click

from compiler.model.plan import CompiledPlan, Step, Verb
from compiler.model.run import Counts, StepState, StepStatus
from executor.execution import Observer

EVERY = 2.0
"""Seconds between two lines of a plain display."""

_MARKS: Mapping[StepStatus, str] = {
    StepStatus.PENDING: "·",
    StepStatus.WAITING: "?",
    StepStatus.INTENDED: "▶",
    StepStatus.DONE: "✓",
    StepStatus.FAILED: "✗",
    StepStatus.SKIPPED: "-",
}


class PlainDisplay:
    """A line for every change of a step, and one every two seconds for what runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self._running: dict[str, Counts | None] = {}
        self._ended = threading.Event()

    def changed(self, step: Step, state: StepState) -> None:
        with self._lock:
            if state.status is StepStatus.INTENDED:
                self._running[step.id] = None
            else:
                self._running.pop(step.id, None)
            self._say(_line(step, state))

    def progressed(self, step: Step, counts: Counts) -> None:
        with self._lock:
            self._running[step.id] = counts
            self._beat()

    def stopped(self, step: Step) -> None:
        with self._lock:
            self._running.pop(step.id, None)
            self._say(f"‖ {step.id}: stopped at a safe place")

    def told(self, text: str) -> None:
        with self._lock:
            self._say(text)

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        click.echo(text, err=True)

    def _beat(self) -> None:
        if self._running and time.monotonic() - self._last >= EVERY:
            parts = [
                f"{name}: {counted(counts)}" if counts else name for name, counts in self._running.items()
            ]
            self._say("running " + "; ".join(parts))

    def _keep_beating(self) -> None:
        while not self._ended.wait(EVERY / 4):
            with self._lock:
                self._beat()

    @contextmanager
    def shown(self) -> Iterator[Observer]:
        """The display is alive within this block."""
        thread = threading.Thread(target=self._keep_beating, name="display", daemon=True)
        thread.start()
        try:
            # What a plan's own functions print must not get into the one document on standard output.
            with redirect_stdout(sys.stderr):
                yield self
        finally:
            self._ended.set()
            thread.join()


class LiveDisplay:
    """A table of all steps that is drawn anew four times a second."""

    def __init__(self, plan: CompiledPlan) -> None:
        self._lock = threading.Lock()
        self._title = plan.name
        self._names = [step.id for step in plan.steps if step.verb is not Verb.BARRIER]
        self._states: dict[str, StepState] = {}
        self._counts: dict[str, tuple[float, Counts]] = {}
        self._began: dict[str, float] = {}
        self._told: list[str] = []

    def changed(self, step: Step, state: StepState) -> None:
        with self._lock:
            if step.id not in self._names:
                self._names.append(step.id)
            if state.status is StepStatus.INTENDED:
                self._began[step.id] = time.monotonic()
            self._states[step.id] = state

    def progressed(self, step: Step, counts: Counts) -> None:
        with self._lock:
            self._counts[step.id] = (time.monotonic(), counts)

    def stopped(self, step: Step) -> None:
        self.told(f"{step.id}: stopped at a safe place")

    def told(self, text: str) -> None:
        with self._lock:
            self._told = [*self._told[-4:], text]

    def __rich__(self) -> object:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, title=Text(f"plan {self._title}"), title_justify="left")
        for heading in ("", "step", ""):
            table.add_column(heading)
        table.add_column("time", justify="right")
        with self._lock:
            for name in self._visible():
                state = self._states.get(name, StepState())
                style = {"done": "green", "failed": "red", "intended": "bold", "waiting": "yellow"}.get(
                    state.status.value, "dim"
                )
                table.add_row(
                    _MARKS[state.status],
                    Text(name),
                    Text(self._doing(name, state)),
                    self._time(name),
                    style=style,
                )
            return Group(table, *(Text(line) for line in self._told))

    def _visible(self) -> list[str]:
        """At most thirty rows: a screenful around what runs."""
        if len(self._names) <= 30:
            return self._names
        active = [i for i, name in enumerate(self._names) if name in self._states]
        last = max(active, default=0)
        start = max(0, min(last - 20, len(self._names) - 30))
        return self._names[start : start + 30]

    def _doing(self, name: str, state: StepState) -> str:
        if state.status is StepStatus.FAILED:
            return state.error or "failed"
        if state.status is StepStatus.WAITING:
            return str(state.result.get("instructions", "waits for a person"))
        if name in self._counts:
            when, counts = self._counts[name]
            seconds = when - self._began.get(name, when)
            rate = f"  {counts.read / seconds:,.0f}/s" if seconds > 0.5 else ""
            return counted(counts) + rate
        return ""

    def _time(self, name: str) -> str:
        state = self._states.get(name, StepState())
        if state.status is StepStatus.INTENDED and name in self._began:
            return f"{time.monotonic() - self._began[name]:.0f} s"
        if state.started is not None and state.finished is not None:
            return f"{state.finished - state.started:.1f} s"
        return ""

    @contextmanager
    def shown(self) -> Iterator[Observer]:
        """The display is alive within this block."""
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        with redirect_stdout(sys.stderr), Live(self, console=console, refresh_per_second=4):  # type: ignore[arg-type]
            yield self


def display_for(plan: CompiledPlan) -> PlainDisplay | LiveDisplay:
    """The display that fits where standard error goes."""
    return LiveDisplay(plan) if sys.stderr.isatty() else PlainDisplay()


def counted(counts: Counts) -> str:
    """``read 1,000, written 990, dead 10``: what is not zero."""
    parts = [f"read {counts.read:,}"]
    for name in ("written", "unchanged", "filtered", "dead"):
        value = getattr(counts, name)
        if value:
            parts.append(f"{name} {value:,}")
    return ", ".join(parts)


def _line(step: Step, state: StepState) -> str:
    words = {
        StepStatus.INTENDED: "started",
        StepStatus.DONE: "done",
        StepStatus.FAILED: "FAILED",
        StepStatus.SKIPPED: "skipped",
        StepStatus.WAITING: "waits for a person",
        StepStatus.PENDING: "pending",
    }
    text = f"{_MARKS[state.status]} {step.id}: {words[state.status]}"
    if state.status is StepStatus.DONE and state.started is not None and state.finished is not None:
        text += f" in {state.finished - state.started:.1f} s"
    if state.counts is not None and state.status is not StepStatus.INTENDED:
        text += f" ({counted(state.counts)})"
    if state.status is StepStatus.FAILED and state.error:
        text += f": {state.error}"
    return text
