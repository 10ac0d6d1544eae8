"""Ownership of targets: leases with a time to live, renewed while the run goes on, fenced by tokens.

A holder that cannot renew stops itself before its lease ends: :meth:`Leases.check` is called before
every effect, and the journal refuses an append with an old token.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from executor.clock import Clock
from executor.contract import FordwayError, LeaseLost
from executor.journal.sqlite import SqliteJournal
from executor.owner import Owner, proven_dead

TTL = 30.0
"""Seconds that a lease lives without renewal."""
RENEW_EVERY = 10.0
MARGIN = 5.0
"""Seconds before a lease's end at which its holder counts it as lost."""


class LeaseHome(Protocol):
    """Where a target's lease is kept, seen by every possible writer of that target."""

    def acquire(self, target: str, owner: Owner, ttl: float, steal: Callable[[Owner], bool]) -> int:
        """Take the lease where it is free, expired, or held by a process for which ``steal`` is true.
        Returns a fencing token, higher than every one before. Raises TargetsLocked."""
        ...

    def renew(self, target: str, token: int, ttl: float) -> bool:
        """Prolong it by ``ttl`` seconds from now; False if it is no longer ours."""
        ...

    def release(self, target: str, token: int) -> None: ...


class StateLeases:
    """The lease home of what cannot hold a lease itself: a table in the state folder's journal."""

    def __init__(self, journal: SqliteJournal, clock: Clock) -> None:
        self._journal, self._clock = journal, clock

    def acquire(self, target: str, owner: Owner, ttl: float, steal: Callable[[Owner], bool]) -> int:
        return self._journal.acquire(target, owner, ttl, self._clock.now(), steal)

    def renew(self, target: str, token: int, ttl: float) -> bool:
        return self._journal.renew(target, token, ttl, self._clock.now())

    def release(self, target: str, token: int) -> None:
        self._journal.release(target, token)


@dataclass(frozen=True, slots=True)
class Claim:
    """One target and the home of its lease."""

    home: LeaseHome
    target: str


class Leases:
    """All leases of one run, taken together or not at all, renewed by a thread of their own."""

    def __init__(self, owner: Owner, clock: Clock) -> None:
        self._owner, self._clock = owner, clock
        self._held: list[tuple[Claim, int]] = []
        self._deadline = clock.monotonic() + TTL
        self._lost: str | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self, claims: Sequence[Claim]) -> None:
        """Take every lease. Raises TargetsLocked, and holds none then."""
        self._deadline = self._clock.monotonic() + TTL
        try:
            for claim in sorted(claims, key=lambda item: item.target):
                token = claim.home.acquire(claim.target, self._owner, TTL, proven_dead)
                self._held.append((claim, token))
        except BaseException:
            self.release()
            raise
        self._thread = threading.Thread(target=self._renew_until_released, name="leases", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises LeaseLost if this run may no longer touch its targets."""
        if self._lost is not None:
            raise LeaseLost(self._lost)
        if self._held and self._clock.monotonic() > self._deadline - MARGIN:
            raise LeaseLost(f"the leases could not be renewed for {TTL - MARGIN:.0f} s")

    def release(self) -> None:
        """End all leases; a home that is out of reach forgets them by itself after the TTL."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        while self._held:
            claim, token = self._held.pop()
            try:
                claim.home.release(claim.target, token)
            except FordwayError:
                continue  # the time to live ends it

    def _renew_until_released(self) -> None:
        while not self._ended.wait(RENEW_EVERY) and self._lost is None:
            begun = self._clock.monotonic()
            try:
                for claim, token in self._held:
                    if not claim.home.renew(claim.target, token, TTL):
                        self._lost = f"the lease on '{claim.target}' was taken by another run"
                        return
            except FordwayError:
                continue  # tried again in a moment; check() ends the run before the lease ends
            self._deadline = begun + TTL
