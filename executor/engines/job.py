"""What a bulk step moves, and between what: made by an action's runner, run by the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from executor.embedding.port import Embedder
from executor.engines.settings import Settings
from executor.stores.port import RecordStore, Source, VectorStore
from executor.transform.batch import BatchResult


class Pending(Protocol):
    """A batch that is being shaped."""

    def result(self) -> BatchResult:
        """Waits for it. Raises FordwayError."""
        ...


class Shape(Protocol):
    """Makes target records of source records: a transform in its processes, or anything that answers the
    same way. A target record's ``_id`` is its first field."""

    def submit(self, docs: Sequence[bytes]) -> Pending: ...

    def close(self) -> None:
        """Give up what is under way; whoever waits for it gets a FordwayError. May be called twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTarget:
    """A collection of records. ``name`` is ``store.collection`` as the plan writes it."""

    name: str
    store: RecordStore
    collection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorTarget:
    """A collection of vectors, and where the vectors come from."""

    name: str
    store: VectorStore
    collection: str
    embedder: Embedder
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One step's work. ``step`` is the forward step's id. ``shape`` is None where records pass as they are.
    ``claim``: two source records may have one target id, so that ids must be remembered. ``keyed``: the
    target records come in the order of the source's keys, which are their own."""

    step: str
    source: Source
    settings: Settings
    shape: Shape | None = None
    records: RecordTarget | None = None
    vectors: VectorTarget | None = None
    claim: bool = False
    keyed: bool = False
