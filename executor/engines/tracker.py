"""The part of the work that is done without a gap: what a checkpoint may speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from compiler.model.run import Counts
from executor.contract import DeadLetter


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A finished batch. ``resume`` goes on after it; ``size`` is in bytes."""

    sequence: int
    resume: bytes
    size: int
    counts: Counts
    dead: Sequence[DeadLetter] = ()


@dataclass(slots=True)
class Tracker:
    """Collects batches as they finish, in any order. ``counts`` are of the part without a gap,
    ``live`` of all that finished; both go on from where the step was."""

    next: int
    counts: Counts
    live: Counts
    resume: bytes | None = None
    _waiting: dict[int, Done] = field(default_factory=dict)

    def add(self, done: Done) -> None:
        """Take a finished batch."""
        self._waiting[done.sequence] = done
        self.live += done.counts

    def advance(self) -> list[Done]:
        """The batches that now follow on without a gap, in order; counts and resume include them."""
        found: list[Done] = []
        while (done := self._waiting.pop(self.next, None)) is not None:
            found.append(done)
            self.next += 1
            self.counts += done.counts
            self.resume = done.resume
        return found
