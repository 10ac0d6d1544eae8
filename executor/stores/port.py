"""The ports of stores.

A *record* is one BSON document as bytes, its ``_id`` the first field; a record's *key* is that element
as a document of its own, ``{"_id": …}`` in BSON, exact for every type. A :class:`RecordStore` holds
records (MongoDB), a :class:`VectorStore` vectors with ids and flat metadata (ChromaDB). Every method
raises StoreUnavailable where the store cannot be reached (a write is in doubt then) and StoreRefused
where it says no; no driver's own error leaves this package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from compiler.model.plan import Json, JsonObject
from executor.contract import UndoLog
from executor.lease import LeaseHome

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Vectors = NDArray[numpy.float32]
    """Shape (records, dimension), float32."""

Secrets = Callable[[Json, Path], str]
"""Reads a secret reference; relative paths start from the folder given."""

Scalar = str | int | float | bool
MetadataValue = Scalar | list[str] | list[int] | list[float] | list[bool]
Metadata = Mapping[str, MetadataValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a kind of store can do. ``max_record`` is in bytes, ``max_batch`` in records; None for no
    limit. ``undo_home``: it keeps undo logs itself. ``lease_home``: it keeps leases itself."""

    records: bool = False
    vectors: bool = False
    transactions: bool = False
    undo_home: bool = False
    lease_home: bool = False
    one_process: bool = False
    metrics: tuple[str, ...] = ()
    max_batch: int | None = None
    max_record: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionFacts:
    """What a collection is. All but ``exists`` are empty if it does not exist.

    ``count`` is the exact number of records. ``options`` are those it was created with and ``indexes``
    its indexes but for that of ``_id``, both as canonical extended JSON; ``keys`` of an index is a list
    of ``[field, direction]`` since their order matters. ``bytes`` is the size of the data.
    ``ordered``: keys sort by BSON's simple comparison (no collation of its own). ``view``: it is
    computed from others and cannot be written. ``dimension`` is None while a vector collection is empty.
    ``embedding`` is the fingerprint of the embedding that filled it, where Fordway created it.
    """

    exists: bool
    count: int = 0
    bytes: int = 0
    options: JsonObject = field(default_factory=dict)
    indexes: tuple[JsonObject, ...] = ()
    ordered: bool = True
    view: bool = False
    metric: str | None = None
    dimension: int | None = None
    embedding: str | None = None

    @property
    def empty(self) -> bool:
        return self.count == 0


class Refused(StrEnum):
    """Why a store would not take one record."""

    DUPLICATE_ID = "duplicate-id"
    DUPLICATE_VALUE = "duplicate-value"
    """Another unique index than that of ``_id`` has the value already."""
    INVALID = "invalid"
    TOO_LARGE = "too-large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One record of a batch (``index`` from 0) that was refused while the rest was written."""

    index: int
    kind: Refused
    reason: str


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Consecutive records of a source.

    ``resume`` is what :meth:`Source.read` takes to go on after the last of them: opaque to all but
    the source. ``size`` is in bytes.
    """

    records: Sequence[bytes]
    resume: bytes
    size: int


class Source(Protocol):
    """Anything that bulk can read: a collection, a file. One instance serves one step.

    ``keyed``: the records come in the order of their keys by BSON's simple comparison.
    ``unique``: no two records have one key.
    """

    keyed: bool
    unique: bool

    def read(self, after: bytes | None, until: bytes | None = None) -> Iterator[RecordBatch]:
        """Batches from the start, or from after the batch whose ``resume`` is given, to the end, or to
        just before the last record of the batch whose ``resume`` is ``until`` (that record itself
        may come or not). May be called again after StoreUnavailable."""
        ...


class Act(Enum):
    """What to do with a record, besides putting another in its place."""

    LEAVE = "leave"
    DELETE = "delete"


class Fate(StrEnum):
    """What was done with a record."""

    LEFT = "left"
    DELETED = "deleted"
    REPLACED = "replaced"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Revised:
    """What became of one record; ``record`` is it as it was found. ``reason``: why the store would not take
    what was to take its place."""

    record: bytes
    fate: Fate
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRange:
    """From the first key to the last, both included, in the order of the collection."""

    first: bytes
    last: bytes


@runtime_checkable
class GroupLog(UndoLog, Protocol):
    """An undo log that can make several entries durable at the cost of one."""

    def ready(self) -> None:
        """Do what the first put would have to do first."""
        ...

    def put_all(self, entries: Mapping[int, bytes]) -> None:
        """The same as putting each, in order."""
        ...


@runtime_checkable
class Store(Protocol):
    """What every store has. Methods may be called from several threads."""

    name: str
    capabilities: Capabilities

    def ping(self) -> None:
        """Raises StoreUnavailable or StoreRefused, with one clear line and a hint."""
        ...

    def close(self) -> None: ...

    def collections(self) -> list[str]:
        """Names, sorted; none that belongs to the store itself or to Fordway."""
        ...

    def exists(self, collection: str) -> bool: ...

    def count(self, collection: str, where: JsonObject | None = None) -> int:
        """The exact number of records (that match an extended JSON filter); 0 if there is no such
        collection."""
        ...

    def facts(self, collection: str) -> CollectionFacts: ...

    def drop(self, collection: str) -> None:
        """Drop it with everything in it; nothing happens if it does not exist."""
        ...

    def undo_log(self, run: str, step: str) -> UndoLog | None:
        """The step's undo log in this store; None if the store cannot hold one (use the context's)."""
        ...

    def undo_runs(self) -> Mapping[str, int]:
        """The runs whose undo logs are kept here, with their size in bytes."""
        ...

    def drop_undo(self, run: str) -> None:
        """Forget the undo logs of a run."""
        ...

    def lease_home(self) -> LeaseHome | None:
        """Where leases on this store's collections live; None if it cannot hold them."""
        ...

    def lease_target(self, collection: str) -> str:
        """The collection's name as a lease knows it, equal for everyone who reaches it."""
        ...


@runtime_checkable
class RecordStore(Store, Protocol):
    """A store of records."""

    def source(
        self,
        collection: str,
        *,
        where: JsonObject | None = None,
        batch_records: int = 1000,
        batch_bytes: int = 3_000_000,
    ) -> Source:
        """A reader in the order of keys that crosses BSON types. ``where`` is an extended JSON filter."""
        ...

    def fetch(self, collection: str, keys: Sequence[bytes]) -> list[bytes]:
        """The records of these keys that exist, in no order."""
        ...

    def fetch_range(self, collection: str, bounds: KeyRange) -> Iterator[list[bytes]]:
        """The records in a range of keys, a few thousand at a time."""
        ...

    def insert(self, collection: str, records: Sequence[bytes]) -> list[Refusal]:
        """Insert all that can be inserted (acknowledged by a majority) and say which could not."""
        ...

    def revise(
        self, collection: str, keys: Sequence[bytes], decide: Callable[[bytes], bytes | Act]
    ) -> list[Revised]:
        """Read the records of ``keys``, ask ``decide`` what to do with each (a record to put in its place, of
        the same key), and do it where the record still is what was read: nobody's write in between is lost,
        since such a record is read and decided on again. Keys that are not there are not in the answer."""
        ...

    def create(self, collection: str, options: JsonObject | None = None) -> None:
        """Create it with the store's own options as extended JSON. StoreRefused if it exists."""
        ...

    def create_index(
        self, collection: str, keys: Sequence[tuple[str, str | int]], options: JsonObject | None = None
    ) -> str:
        """Returns the index's name. An equal index that exists already is no error."""
        ...

    def drop_index(self, collection: str, name: str) -> None:
        """Nothing happens if there is no such index."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorRecords:
    """Records of a vector collection by columns, equally long. ``documents`` is None where they are
    not asked for or not kept; an item of it is None where a record has none."""

    ids: Sequence[str]
    vectors: Vectors | None = None
    metadatas: Sequence[Metadata | None] = ()
    documents: Sequence[str | None] | None = None


@runtime_checkable
class VectorStore(Store, Protocol):
    """A store of vectors with ids, flat metadata and perhaps documents."""

    def create(
        self, collection: str, *, metric: str, dimension: int | None = None, embedding: str | None = None
    ) -> None:
        """Create it; ``embedding`` is a fingerprint, kept with it. StoreRefused if it exists."""
        ...

    def check(
        self, collection: str, *, metric: str, dimension: int | None = None, embedding: str | None = None
    ) -> None:
        """Raises StoreRefused, naming both sides, if the existing collection has another metric,
        dimension or embedding. A collection that does not exist is fine."""
        ...

    def get(
        self, collection: str, ids: Sequence[str], *, vectors: bool = True, documents: bool = True
    ) -> VectorRecords:
        """The records of these ids that exist, in no order."""
        ...

    def scan(self, collection: str, batch_records: int = 1000) -> Iterator[VectorRecords]:
        """All records with everything they have, by sorted id."""
        ...

    def add(self, collection: str, records: VectorRecords) -> list[Refusal]:
        """Add records whose ids are known to be absent (an id that exists would silently keep its old
        record); says which were refused."""
        ...

    def replace(self, collection: str, records: VectorRecords, before: VectorRecords) -> list[Refusal]:
        """Put records in the place of those in ``before`` (same ids, any order): nothing of the old
        record stays."""
        ...

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Ids that are not there are no error."""
        ...
