"""Batches through threads: one reads, one prepares, one announces, some write, and the caller's own keeps
the journal.

    source ─▶ reader ─▶ shape (processes) ─▶ preparer ─▶ announcer ─▶ writers ─▶ tracker ─▶ checkpoint
                 ▲                                                                 │
                 └───────────────── window: batches and bytes ◀────────────────────┘

The window opens only as the part without a gap grows, so that what is under way, and what a crash
leaves in doubt, stays small.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context as Decimals
from decimal import Decimal
from typing import TypeVar

from compiler.model.run import Counts
from executor.contract import Context, FordwayError, LeaseLost
from executor.engines.claims import Claims
from executor.engines.cursor import Start, cursor_of
from executor.engines.job import Job, Pending
from executor.engines.tracker import Done, Tracker
from executor.engines.unit import Unit, UnitWriter
from executor.stores.bson_key import identity, key_of
from executor.stores.port import RecordBatch

T = TypeVar("T")

_EXACTLY = Decimals(prec=1200)
"""Digits enough for the exact value of any double (at most 767) and of any Decimal128."""

_TICK = 0.25
"""Seconds between two looks at whether the step may go on."""
_WAITING = 6
"""Batches that wait for their manifests to be written, so that several can be written at once."""
_SINGLE, _TOGETHER = 20, 4
"""So many checkpoints are of one batch each; later ones are of so many batches."""
_COPIES = 6
"""A batch under way is held as source, target, message and more: that many times its bytes at most."""


class _Ended(Exception):
    """Another thread has failed or the step was stopped: end quietly."""


@dataclass(slots=True)
class _Flow:
    """What the threads of one step share."""

    stop: threading.Event
    failure: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        """The first failure is the step's."""
        if self.failure is None and not isinstance(error, _Ended):
            self.failure = error
        self.stop.set()

    def check(self) -> None:
        """Raises _Ended if the step is to end."""
        if self.stop.is_set():
            raise _Ended


class _Window:
    """How much may be under way: so many batches, so many bytes (but always one batch)."""

    def __init__(self, batches: int, size: int, flow: _Flow) -> None:
        self._batches, self._size, self._flow = batches, size, flow
        self._held, self._bytes = 0, 0
        self._changed = threading.Condition()

    def enter(self, size: int) -> None:
        """Waits for room. Raises _Ended."""
        with self._changed:
            while self._held and (self._held >= self._batches or self._bytes + size > self._size):
                self._flow.check()
                self._changed.wait(_TICK)
            self._flow.check()
            self._held += 1
            self._bytes += size

    def leave(self, size: int) -> None:
        with self._changed:
            self._held -= 1
            self._bytes -= size
            self._changed.notify_all()


class Pipeline:
    """One run of one job. Used once."""

    def __init__(
        self, job: Job, context: Context, start: Start, writer: UnitWriter, claims: Claims | None
    ) -> None:
        self._job, self._context, self._start = job, context, start
        self._writer, self._claims = writer, claims
        self._flow = _Flow(threading.Event())
        settings = job.settings
        workers = settings.workers if job.shape is not None else 0
        batches = 2 * workers + 2 * settings.writers + _WAITING
        self._window = _Window(batches, settings.memory // _COPIES, self._flow)
        self._to_prepare: queue.SimpleQueue[tuple[Unit, Pending | None] | None] = queue.SimpleQueue()
        self._to_announce: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._to_write: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._tracker = Tracker(next=start.sequence, counts=start.counts, live=start.counts)
        self._checkpoints = 0
        self._settled_from: int | None = None
        """The first batch that no interrupted attempt spoke of; None until it is read."""

    def run(self) -> Counts:
        """Move everything; the counts of the whole step. What was done without a gap is journalled even
        when it fails, but for LeaseLost. Raises FordwayError, Stopped."""
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"bulk-{name}", daemon=True)
            for name, work in (
                ("reader", self._read),
                ("preparer", self._prepare),
                ("announcer", self._announce),
                *((f"writer-{number}", self._write) for number in range(self._job.settings.writers)),
            )
        ]
        for thread in threads:
            thread.start()
        try:
            self._keep_journal(len(threads))
        except BaseException as error:  # noqa: BLE001 - the threads must end first; it is raised below
            self._flow.fail(error)
        self._flow.stop.set()
        if self._flow.failure is not None and self._job.shape is not None:
            self._job.shape.close()  # or the preparer would wait for a function that never ends
        for _ in threads:
            self._to_prepare.put(None)
            self._to_announce.put(None)
            self._to_write.put(None)
        for thread in threads:
            thread.join()
        if self._flow.failure is not None:
            if not isinstance(self._flow.failure, LeaseLost):
                self._take_finished()
                self._checkpoint(all_of_them=True)
            raise self._flow.failure
        return self._tracker.counts

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the step's own thread
            self._flow.fail(error)
        finally:
            self._finished.put(None)

    def _read(self) -> None:
        sequence, position = self._start.sequence, self._start.counts.read
        for batch, upto, doubtful in self._batches():
            self._window.enter(batch.size)
            unit = Unit(sequence, position, batch, doubtful or not self._start.fresh, upto)
            if doubtful:
                unit.own, unit.own_ids = self._start.own, self._start.own_ids
            elif self._settled_from is None:
                self._settled_from = sequence
            pending = self._job.shape.submit(batch.records) if self._job.shape is not None else None
            self._to_prepare.put((unit, pending))
            sequence, position = sequence + 1, position + len(batch.records)
        self._to_prepare.put(None)

    def _batches(self) -> Iterator[tuple[RecordBatch, bytes, bool]]:
        """Source batches, each with how far effects that are in doubt may reach, and whether an interrupted
        attempt had announced some of it."""
        after, until, doubtful = self._start.after, self._start.until, False
        if until is not None:
            for batch in self._steadily(after, until):
                after = batch.resume
                yield batch, until, True
            # The record at ``until`` itself is in the first batch from there on.
            doubtful = True
        for batch in self._steadily(after, None):
            yield batch, batch.resume, doubtful
            doubtful = False

    def _steadily(self, after: bytes | None, until: bytes | None) -> Iterator[RecordBatch]:
        """Read on after a fault that may pass by itself."""
        attempt = 0
        while True:
            try:
                for batch in self._job.source.read(after, until):
                    yield batch
                    after, attempt = batch.resume, 0
                return
            except FordwayError as error:
                attempt += 1
                if not error.transient or attempt > self._job.settings.retries:
                    raise
                self._pause(attempt)

    def _pause(self, attempt: int) -> None:
        """Wait before another attempt; doubles each time."""
        if self._flow.stop.wait(min(60.0, self._job.settings.delay * 2 ** (attempt - 1))):
            raise _Ended

    def _prepare(self) -> None:
        while (item := self._to_prepare.get()) is not None:
            self._flow.check()
            unit, pending = item
            if pending is not None:
                unit.shaped = pending.result()
            if self._claims is not None:
                unit.doubles = self._doubles(unit, self._claims)
            self._to_announce.put(unit)
        self._to_announce.put(None)

    def _announce(self) -> None:
        """Write manifests ahead of the writers, of all batches that are waiting at once."""
        if self._start.fresh:
            self._writer.ready()
        ended = False
        while not ended and (unit := self._to_announce.get()) is not None:
            units = [unit]
            while not self._to_announce.empty():
                more = self._to_announce.get()
                if more is None:
                    ended = True
                    break
                units.append(more)
            self._flow.check()
            self._insistently(units, self._writer.announce_ahead)
            for waiting in units:
                self._to_write.put(waiting)
        for _ in range(self._job.settings.writers):
            self._to_write.put(None)

    def _doubles(self, unit: Unit, claims: Claims) -> set[int]:
        """The places whose id an earlier record has."""
        places, ids = target_ids(unit)
        claimed = [(unit.position + at, value) for at, value in zip(places, ids, strict=True)]
        taken = claims.claim(claimed, unit.position + len(unit.source.records))
        return {place for place, (position, _) in enumerate(claimed) if position in taken}

    def _write(self) -> None:
        while (unit := self._to_write.get()) is not None:
            self._flow.check()
            self._finished.put(self._insistently([unit], lambda units: self._writer.write(units[0])))

    def _insistently(self, units: Sequence[Unit], act: Callable[[Sequence[Unit]], T]) -> T:
        """Try again what may pass by itself, looking first at how far the last attempt came."""
        attempt = 0
        while True:
            try:
                return act(units)
            except FordwayError as error:
                attempt += 1
                if not error.transient or attempt > self._job.settings.retries:
                    raise
                self._pause(attempt)
                for unit in units:
                    unit.doubt()

    def _keep_journal(self, running: int) -> None:
        """Collect what is finished and journal what is done without a gap, until all threads have ended or
        one has failed."""
        looked = time.monotonic()
        while running and not self._flow.stop.is_set():
            try:
                first = self._finished.get(timeout=_TICK)
            except queue.Empty:
                self._checkpoint(all_of_them=True)
            else:
                running -= self._take(first) + self._take_finished()
                self._checkpoint(all_of_them=not running)
            if time.monotonic() - looked > _TICK:
                self._context.proceed()
                looked = time.monotonic()

    def _take_finished(self) -> int:
        """Take all that is finished by now; how many threads have ended."""
        ended = 0
        while not self._finished.empty():
            ended += self._take(self._finished.get())
        return ended

    def _take(self, item: Done | None) -> int:
        if item is None:
            return 1
        self._tracker.add(item)
        self._context.progress(self._tracker.live)
        return 0

    def _checkpoint(self, *, all_of_them: bool = False) -> None:
        """A checkpoint a batch, but once a step has come into its stride one for a few of them: waiting for
        the disk less often leaves it to the stores."""
        while ready := self._tracker.ready:
            if self._checkpoints < _SINGLE:
                ready = 1
            elif ready < _TOGETHER and not all_of_them:
                return
            self._journal(self._tracker.advance(ready))
            self._checkpoints += 1

    def _journal(self, finished: Sequence[Done]) -> None:
        last = finished[-1]
        settled_from = self._settled_from
        beyond = settled_from is not None and last.sequence >= settled_from
        settled = last.sequence if beyond else self._start.settled
        cursor = cursor_of(last.resume, last.sequence, settled, self._tracker.counts)
        dead = [letter for item in finished for letter in item.dead]
        self._context.journal.checkpoint(cursor, self._tracker.counts, dead)
        for item in finished:
            self._window.leave(item.size)


def target_ids(unit: Unit) -> tuple[list[int], list[bytes]]:
    """The target ids of a unit's records as bytes, each with its record's place in the source batch."""
    shaped = unit.shaped
    if shaped is None:
        records = unit.source.records
        return list(range(len(records))), [_claimed(record) for record in records]
    if shaped.ids:
        return list(shaped.places), [value.encode("utf-8", "surrogatepass") for value in shaped.ids]
    return list(shaped.places), [_claimed(record) for record in shaped.records]


def _claimed(record: bytes) -> bytes:
    """A record's key so that keys which MongoDB takes for equal (5, 5.0 and Decimal 5) are equal bytes."""
    known = identity(key_of(record))
    return known if isinstance(known, bytes) else repr(_normal(known)).encode()


def _normal(value: Hashable) -> Hashable:
    """Equal numbers of all types in one spelling."""
    if isinstance(value, tuple):
        return tuple(_normal(item) for item in value)
    if isinstance(value, (int, float, Decimal)):
        number = Decimal(value)
        return str(number) if not number.is_finite() else str(number.normalize(_EXACTLY)) if number else "0"
    return value
