"""Transforms in several processes, with bounded memory, and without one process left behind."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from types import TracebackType
from typing import TypeVar

from executor.contract import FordwayError, StepTransient
from executor.transform.batch import BatchResult, CompiledBatch, Recipe, compile_batch

Tag = TypeVar("Tag")

_AHEAD = 2  # batches a worker: one that it works on and one that waits for it
_MOST = 4  # workers by default: more transform faster than any store writes, and each takes 40 MB

# A worker process's own.
_batch: CompiledBatch | None = None
_fault: FordwayError | None = None


class Pending:
    """A batch that is being transformed."""

    def __init__(self, future: Future[BatchResult]) -> None:
        self._future = future

    def done(self) -> bool:
        return self._future.done()

    def result(self) -> BatchResult:
        """Wait for the batch. Raises StepTransient if its worker process has died."""
        try:
            return self._future.result()
        except (BrokenProcessPool, CancelledError) as error:
            raise _died() from error


class TransformPool:
    """Runs batches through a recipe in ``workers`` processes (default: one for each processor, at most 4).

    The first batch, and those until the workers are up, are transformed by the caller's own thread, so
    that small data pays for no process; with one worker all are. A context manager: leaving it ends the
    workers at once, whatever they are doing. Workers also end when this process does, by whatever means.
    """

    def __init__(self, recipe: Recipe, *, workers: int | None = None) -> None:
        """Compiles the recipe. Raises FordwayError as :func:`compile_batch` does."""
        self.workers = max(1, workers or min(_MOST, os.cpu_count() or 1))
        self._recipe = recipe
        self._here = compile_batch(recipe)
        self._places = threading.BoundedSemaphore(self.workers * _AHEAD)
        self._lock = threading.Lock()
        self._submitted = 0
        self._processes: _Processes | None = None
        self._closed = False

    def __enter__(self) -> TransformPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, docs: Sequence[bytes]) -> Pending:
        """Transform a batch of raw BSON documents. Blocks while ``2 × workers`` batches are under way;
        may be called from several threads. Raises StepTransient if a worker has died, FordwayError if it
        could not compile the recipe."""
        processes = self._started()
        if processes is None or not processes.ready():
            return Pending(_done(self._here(docs)))
        self._places.acquire()
        try:
            future = processes.submit(docs)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(lambda _: self._places.release())
        return Pending(future)

    def stream(
        self, batches: Iterable[tuple[Tag, Sequence[bytes]]], *, ordered: bool = True
    ) -> Iterator[tuple[Tag, BatchResult]]:
        """The results of tagged batches, in their order or, faster, as they come.

        Pulls a batch only when there is room for it, so that a slow consumer slows the source.
        Raises StepTransient if a worker has died.
        """
        under_way: deque[tuple[Tag, Future[BatchResult]]] = deque()
        for tag, docs in batches:
            under_way.append((tag, self.submit(docs)._future))
            while len(under_way) >= self.workers * _AHEAD or _any_done(under_way, ordered):
                yield _next(under_way, ordered)
        while under_way:
            yield _next(under_way, ordered)

    def close(self) -> None:
        """End the workers; batches under way are given up. May be called twice."""
        with self._lock:
            processes, self._processes, self._closed = self._processes, None, True
        if processes is not None:
            processes.close()

    def _started(self) -> _Processes | None:
        with self._lock:
            if self._closed:
                raise ValueError("the pool is closed")
            self._submitted += 1
            if self._processes is None and self._submitted > 1 and self.workers > 1:
                self._processes = _Processes(self._recipe, self.workers)
            return self._processes


class _Processes:
    """The worker processes, and the leash that ends them."""

    def __init__(self, recipe: Recipe, workers: int) -> None:
        context = get_context("spawn")
        held, self._leash = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_prepare, initargs=(recipe, held)
        )
        self._held = held
        # A child inherits the mask: Ctrl-C must not meet it before it can ignore it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            # Each of them starts one process, since none is idle yet.
            self._starting = [self._executor.submit(_report) for _ in range(workers)]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def ready(self) -> bool:
        if not self._starting:
            return True
        if not all(future.done() for future in self._starting):
            return False
        try:
            for future in self._starting:
                future.result()
        except BrokenProcessPool as error:
            raise _died() from error
        self._starting = []
        return True

    def submit(self, docs: Sequence[bytes]) -> Future[BatchResult]:
        try:
            return self._executor.submit(_work, docs)
        except RuntimeError as error:  # broken, or closed by another thread
            raise _died() from error

    def close(self) -> None:
        # The leash first: a worker that is in an endless loop would not hear of a shutdown.
        self._leash.close()
        self._held.close()
        self._executor.shutdown(wait=True, cancel_futures=True)


def _prepare(recipe: Recipe, leash: Connection) -> None:
    """Make this process a worker."""
    global _batch, _fault
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    # What a plan's function prints must not get into the one document on standard output.
    os.dup2(2, 1)
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel, leash), daemon=True).start()
    try:
        _batch = compile_batch(recipe)
    except FordwayError as error:  # raised here, it would be a traceback on the user's terminal
        _fault = error


def _report() -> None:
    """Say whether this worker can work."""
    if _fault is not None:
        raise _fault


def _end_with(parent: int, leash: Connection) -> None:
    """End this process as soon as the parent is gone or lets go of the leash."""
    wait_for([parent, leash])
    os._exit(1)


def _work(docs: Sequence[bytes]) -> BatchResult:
    assert _batch is not None
    return _batch(docs)


def _died() -> StepTransient:
    return StepTransient(
        "a transform process has died",
        hint="killed from outside, out of memory, or a Python function that ends its process",
    )


def _done(result: BatchResult) -> Future[BatchResult]:
    future: Future[BatchResult] = Future()
    future.set_result(result)
    return future


def _any_done(under_way: deque[tuple[Tag, Future[BatchResult]]], ordered: bool) -> bool:
    looked_at = [under_way[0]] if ordered and under_way else under_way
    return any(future.done() for _, future in looked_at)


def _next(under_way: deque[tuple[Tag, Future[BatchResult]]], ordered: bool) -> tuple[Tag, BatchResult]:
    if not ordered:
        finished = wait([future for _, future in under_way], return_when=FIRST_COMPLETED).done
        place = next(i for i, (_, future) in enumerate(under_way) if future in finished)
        under_way.rotate(-place)
    tag, future = under_way.popleft()
    return tag, Pending(future).result()
