"""What a batch is about to do, written down before it does it: the undo log's entries.

An entry is a BSON document. Entries of one batch share its sequence number; a number in the log is
``sequence * PARTS + part``, so that newest first in the log is newest first in the work, whatever number
of writers there are. Hashes are XXH3-64, 8 bytes big-endian each, of a record as it lies in the target.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import bson
import xxhash

from executor.contract import Context, UndoLog
from executor.engines.sketch import SKETCH
from executor.stores.port import GroupLog, KeyRange, Store, VectorRecords

if TYPE_CHECKING:
    from executor.stores.port import Metadata

PARTS = 65_536
"""Numbers that belong to one sequence number: the first half for entries, the second for their states."""
HASH = 8
"""Bytes of a hash."""
_ENTRY_BYTES = 6_000_000
"""What an entry's before-images may have together; a larger one is an entry of its own."""
_BESIDES = 2_000  # bytes: a guess at a vector record's id and metadata, to split entries by
_length = struct.Struct("<i").unpack_from


def hash_of(record: bytes) -> bytes:
    """The hash of a record."""
    return xxhash.xxh3_64_digest(record)


def split(packed: bytes, size: int) -> list[bytes]:
    """Packed values of one size as a list."""
    return [packed[at : at + size] for at in range(0, len(packed), size)]


def documents(packed: bytes) -> list[bytes]:
    """Concatenated BSON documents as a list."""
    found: list[bytes] = []
    at = 0
    while at < len(packed):
        end = at + _length(packed, at)[0]
        found.append(packed[at:end])
        at = end
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeEntry:
    """Records inserted into a fresh target in the order of their keys: whatever lies in the range and has
    one of the hashes is ours."""

    sequence: int
    upto: bytes
    bounds: KeyRange
    hashes: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysEntry:
    """Records by key. ``before`` maps a place in ``keys`` to the record that was there."""

    sequence: int
    upto: bytes
    keys: Sequence[bytes]
    hashes: bytes
    before: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorsEntry:
    """Vectors by id. ``marks`` are a content hash and a sketch each; ``before`` are the records that were
    there, of some of the ids."""

    sequence: int
    upto: bytes
    ids: Sequence[str]
    marks: bytes
    before: VectorRecords | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateEntry:
    """Something about another entry. ``state`` is ``done`` (all its effects are complete) or ``undoing``,
    kept beside the entry, or ``undone``, kept in its place, with what was ``left`` alone: pairs of target
    and key."""

    sequence: int
    of: int
    state: str
    left: Sequence[tuple[str, str]] = ()


Entry = RangeEntry | KeysEntry | VectorsEntry | StateEntry
MARK = HASH + SKETCH
"""Bytes of a vector's mark."""


def encode(entry: Entry) -> bytes:
    """An entry as BSON."""
    match entry:
        case RangeEntry():
            body: dict[str, object] = {
                "form": "range",
                "upto": entry.upto,
                "first": entry.bounds.first,
                "last": entry.bounds.last,
                "hashes": entry.hashes,
            }
        case KeysEntry():
            body = {
                "form": "keys",
                "upto": entry.upto,
                "keys": b"".join(entry.keys),
                "hashes": entry.hashes,
                "places": list(entry.before),
                "before": b"".join(entry.before.values()),
            }
        case VectorsEntry():
            body = {
                "form": "vectors",
                "upto": entry.upto,
                "ids": list(entry.ids),
                "marks": entry.marks,
                "before": _encode_vectors(entry.before),
            }
        case StateEntry():
            left = [list(pair) for pair in entry.left]
            body = {"form": "state", "of": entry.of, "state": entry.state, "left": left}
    return bson.encode({"sequence": entry.sequence, **body})


def decode(data: bytes) -> Entry:
    """The entry that :func:`encode` wrote. Raises ValueError."""
    body = bson.decode(data)
    sequence = int(body["sequence"])
    match body["form"]:
        case "range":
            bounds = KeyRange(first=body["first"], last=body["last"])
            return RangeEntry(sequence=sequence, upto=body["upto"], bounds=bounds, hashes=body["hashes"])
        case "keys":
            before = dict(zip(body["places"], documents(body["before"]), strict=True))
            return KeysEntry(
                sequence=sequence,
                upto=body["upto"],
                keys=documents(body["keys"]),
                hashes=body["hashes"],
                before=before,
            )
        case "vectors":
            return VectorsEntry(
                sequence=sequence,
                upto=body["upto"],
                ids=body["ids"],
                marks=body["marks"],
                before=_decode_vectors(body["before"]),
            )
        case "state":
            left = [(str(target), str(key)) for target, key in body["left"]]
            return StateEntry(sequence=sequence, of=int(body["of"]), state=str(body["state"]), left=left)
        case form:
            raise ValueError(f"an undo entry of the form '{form}' is not known here")


def _encode_vectors(records: VectorRecords | None) -> dict[str, object] | None:
    if records is None or not records.ids or records.vectors is None:
        return None
    return {
        "ids": list(records.ids),
        "dimension": int(records.vectors.shape[1]),
        "vectors": records.vectors.astype("<f4", copy=False).tobytes(),
        "metadatas": [dict(item) if item is not None else None for item in records.metadatas],
        "documents": list(records.documents or ()),
    }


def _decode_vectors(body: Mapping[str, object] | None) -> VectorRecords | None:
    if body is None:
        return None
    import numpy as np

    vectors, dimension = body["vectors"], body["dimension"]
    assert isinstance(vectors, bytes)
    assert isinstance(dimension, int)
    ids, metadatas, texts = body["ids"], body["metadatas"], body["documents"]
    assert isinstance(ids, list)
    assert isinstance(metadatas, list)
    assert isinstance(texts, list)
    found: list[Metadata | None] = metadatas
    return VectorRecords(
        ids=ids,
        vectors=np.frombuffer(vectors, dtype="<f4").reshape(-1, dimension).astype(np.float32),
        metadatas=found,
        documents=texts,
    )


class Manifests:
    """A step's undo log as entries. Several threads may put, each for its own sequence numbers."""

    def __init__(self, log: UndoLog) -> None:
        self._log = log
        self._parts: dict[int, int] = {}

    def ready(self) -> None:
        """Make the first entry as quick as the others."""
        if isinstance(self._log, GroupLog):
            self._log.ready()

    def put(self, entry: Entry) -> int:
        """Write an entry, durably; its number."""
        number = self._next(entry)
        self._log.put(number, encode(entry))
        return number

    def _next(self, entry: Entry) -> int:
        part = self._parts.get(entry.sequence, 0)
        assert part < PARTS // 2
        self._parts[entry.sequence] = part + 1
        return entry.sequence * PARTS + part

    def put_all(self, entries: Sequence[Entry]) -> list[int]:
        """Write entries, durably, at the cost of one where the log can do that; their numbers."""
        if not isinstance(self._log, GroupLog):
            return [self.put(entry) for entry in entries]
        numbers: list[int] = []
        group: dict[int, bytes] = {}
        for entry in entries:
            number, data = self._next(entry), encode(entry)
            if group and sum(map(len, group.values())) + len(data) > _ENTRY_BYTES:
                self._log.put_all(group)
                group = {}
            group[number] = data
            numbers.append(number)
        if group:
            self._log.put_all(group)
        return numbers

    def note(self, number: int, state: str) -> None:
        """Keep the state of an entry beside it."""
        entry = StateEntry(sequence=number // PARTS, of=number, state=state)
        self._log.put(number + PARTS // 2, encode(entry))

    def rewrite(self, number: int, entry: Entry) -> None:
        """Put another entry in the place of one."""
        self._log.put(number, encode(entry))

    def numbers(self) -> list[int]:
        """The entries' numbers, newest first."""
        return [number for number in self._log.newest_first() if number % PARTS < PARTS // 2]

    def states(self) -> dict[int, str]:
        """What is noted beside entries, by their number."""
        noted = (number for number in self._log.newest_first() if number % PARTS >= PARTS // 2)
        return {
            number - PARTS // 2: entry.state
            for number in noted
            if isinstance(entry := self.get(number), StateEntry)
        }

    def get(self, number: int) -> Entry:
        return decode(self._log.get(number))

    def newer_than(self, sequence: int) -> Iterator[Entry]:
        """The entries of later sequence numbers, newest first."""
        for number in self._log.newest_first():
            if number < (sequence + 1) * PARTS:
                return
            yield self.get(number)


def manifests_of(store: Store, context: Context, step: str) -> Manifests:
    """The undo log of a step: in the store that it is for, or with the journal where that cannot be."""
    return Manifests(store.undo_log(context.run, step) or context.undo_log(step))


def key_entries(
    sequence: int,
    upto: bytes,
    places: Sequence[int],
    keys: Mapping[int, bytes],
    hashes: Mapping[int, bytes],
    before: Mapping[int, bytes],
) -> Iterator[tuple[KeysEntry, list[int]]]:
    """Entries for some places of a batch, split so that each can be stored; each with its places."""
    for group in _groups(places, lambda place: len(before.get(place, b"")) + 40):
        entry = KeysEntry(
            sequence=sequence,
            upto=upto,
            keys=[keys[place] for place in group],
            hashes=b"".join([hashes[place] for place in group]),
            before={at: before[place] for at, place in enumerate(group) if place in before},
        )
        yield entry, group


def vector_entries(
    sequence: int,
    upto: bytes,
    places: Sequence[int],
    ids: Sequence[str],
    marks: Mapping[int, bytes],
    before: VectorRecords,
) -> Iterator[VectorsEntry]:
    """Entries for some places of a batch, split so that each can be stored."""
    rows = {record_id: row for row, record_id in enumerate(before.ids)}

    width = before.vectors.nbytes // len(rows) if before.vectors is not None and rows else 0

    def weight(place: int) -> int:
        row = rows.get(ids[place])
        if row is None:
            return 100
        text = before.documents[row] if before.documents else None
        return _BESIDES + 4 * len(text or "") + width

    for group in _groups(places, weight):
        yield VectorsEntry(
            sequence=sequence,
            upto=upto,
            ids=[ids[place] for place in group],
            marks=b"".join([marks[place] for place in group]),
            before=subset(before, [rows[ids[place]] for place in group if ids[place] in rows]),
        )


def subset(records: VectorRecords, rows: Sequence[int]) -> VectorRecords:
    """Some rows of vector records."""
    return VectorRecords(
        ids=[records.ids[row] for row in rows],
        vectors=records.vectors[list(rows)] if records.vectors is not None else None,
        metadatas=[records.metadatas[row] for row in rows] if records.metadatas else (),
        documents=[records.documents[row] for row in rows] if records.documents is not None else None,
    )


def _groups(places: Sequence[int], weight: Callable[[int], int]) -> Iterator[list[int]]:
    group: list[int] = []
    held = 0
    for place in places:
        size = weight(place)
        if group and held + size > _ENTRY_BYTES:
            yield group
            group, held = [], 0
        group.append(place)
        held += size
    if group:
        yield group
