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
    _waiting: dict[int, Done] = field(default_factory=dict)

    def add(self, done: Done) -> None:
        """Take a finished batch."""
        self._waiting[done.sequence] = done
        self.live += done.counts

    @property
    def ready(self) -> int:
        """How many finished batches follow on without a gap."""
        found = 0
        while self.next + found in self._waiting:
            found += 1
        return found

    def advance(self, batches: int) -> list[Done]:
        """Take so many of those that are ready, in order; ``counts`` include them."""
        found = [self._waiting.pop(self.next + place) for place in range(batches)]
        for done in found:
            self.next += 1
            self.counts += done.counts
        return found
