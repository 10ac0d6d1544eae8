"""Ctrl-C and SIGTERM: once to stop at a safe place, twice to stop now."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from executor.execution import Stop


class Stopper:
    """What the person at the keyboard (or the supervisor) has asked for."""

    def __init__(self) -> None:
        self._stop = Stop.NO

    def asked(self) -> Stop:
        """What is asked for now."""
        return self._stop

    def _signalled(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._stop is Stop.NO:
            self._stop = Stop.DRAIN
            click.echo("stopping at the next safe place; once more stops now", err=True)
        else:
            self._stop = Stop.CANCEL

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals are heard within this block, and have their old meaning after it."""
        before = {
            number: signal.signal(number, self._signalled) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
