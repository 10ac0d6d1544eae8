"""The vectors' side of a target: look, write down, write, and take single ones back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import xxhash

from executor.engines.looking import Existing, Look
from executor.engines.manifest import Manifests, subset, vector_entries
from executor.engines.sketch import alike, same, sketches
from executor.stores.port import Metadata, VectorRecords, VectorStore

if TYPE_CHECKING:
    from executor.stores.port import Vectors


@dataclass(slots=True)
class VectorBatch:
    """One batch's vectors by place (their index in the batch's columns).

    ``vectors`` has a row for each place of the batch; rows that are not known yet are filled in before
    :meth:`VectorSide.announce`. ``own`` are ids that this step has announced before. ``before`` are the
    records that the changed ones take the place of.
    """

    sequence: int
    upto: bytes
    ids: Sequence[str]
    metadatas: Sequence[Metadata]
    documents: Sequence[str | None] | None
    vectors: Vectors
    own: frozenset[str] = frozenset()
    look: Look | None = None
    before: VectorRecords = field(default_factory=lambda: VectorRecords(ids=()))
    numbers: list[int] = field(default_factory=list)


def content_of(metadata: Metadata | None, document: str | None) -> bytes:
    """A hash of what lies beside a vector. 1, 1.0 and true are three different things."""
    text = json.dumps([metadata or None, document], sort_keys=True, separators=(",", ":"))
    return xxhash.xxh3_64_digest(text.encode("utf-8", "surrogatepass"))


def marks_of(records: VectorRecords) -> list[bytes]:
    """What a vector record is known by: the hash of its content, and its vector's sketch."""
    assert records.vectors is not None
    documents = records.documents or [None] * len(records.ids)
    metadatas = records.metadatas or [None] * len(records.ids)
    return [
        content_of(metadata, document) + sketch
        for metadata, document, sketch in zip(metadatas, documents, sketches(records.vectors), strict=True)
    ]


def same_mark(one: bytes, other: bytes) -> bool:
    """Whether two marks are of the same record."""
    size = 8
    return one[:size] == other[:size] and same(one[size:], other[size:])


class VectorSide:
    """Writes batches of one step into one collection. Safe from several threads, a batch each.

    ``given``: the vectors come with the documents, so that they are compared too; otherwise equal
    metadata (which holds the content's hash) means an equal vector.
    """

    def __init__(
        self, store: VectorStore, collection: str, manifests: Manifests, *, existing: Existing, given: bool
    ) -> None:
        self.store, self.collection, self.manifests = store, collection, manifests
        self._existing, self._given = existing, given

    def look(self, batch: VectorBatch, places: Iterable[int]) -> Look:
        """Compare with what the target holds; remembers the before-images of what is to be replaced."""
        chosen = list(places)
        found = self.store.get(
            self.collection,
            [batch.ids[place] for place in chosen],
            vectors=self._given,
            documents=batch.documents is not None,
        )
        rows = {record_id: row for row, record_id in enumerate(found.ids)}
        look = Look()
        for place in chosen:
            row = rows.get(batch.ids[place])
            if row is None:
                look.new.append(place)
            elif self._equal(batch, place, found, row):
                (look.ours if batch.ids[place] in batch.own else look.equal).append(place)
            else:
                look.differs(place, self._existing)
        if look.changed:
            ids = [batch.ids[place] for place in look.changed]
            batch.before = self.store.get(self.collection, ids)
        return look

    def _equal(self, batch: VectorBatch, place: int, found: VectorRecords, row: int) -> bool:
        document = batch.documents[place] if batch.documents is not None else None
        there = found.documents[row] if found.documents is not None else None
        metadata = found.metadatas[row] if found.metadatas else None
        if content_of(batch.metadatas[place], document) != content_of(metadata, there):
            return False
        if not self._given or found.vectors is None:
            return True
        return alike(batch.vectors[place], found.vectors[row])

    def reuse(self, batch: VectorBatch, hashes: str = "contentHash") -> set[int]:
        """The places whose vector may stay as it is since only what lies beside it changes: their rows are
        filled from the before-images."""
        if batch.look is None or self._given or batch.before.vectors is None:
            return set()
        rows = {record_id: row for row, record_id in enumerate(batch.before.ids)}
        reused: set[int] = set()
        for place in batch.look.changed:
            row = rows.get(batch.ids[place])
            metadata = batch.before.metadatas[row] if row is not None and batch.before.metadatas else None
            if row is None or metadata is None or metadata.get(hashes) is None:
                continue
            if metadata.get(hashes) == batch.metadatas[place].get(hashes):
                batch.vectors[place] = batch.before.vectors[row]
                reused.add(place)
        return reused

    def announce(self, batch: VectorBatch, places: Sequence[int]) -> None:
        """Write the manifest of what is about to be done, durably."""
        if not places:
            return
        marks = dict(zip(places, marks_of(_records(batch, places)), strict=True))
        for entry in vector_entries(batch.sequence, batch.upto, places, batch.ids, marks, batch.before):
            batch.numbers.append(self.manifests.put(entry))

    def write(self, batch: VectorBatch, places: Sequence[int]) -> dict[int, str]:
        """Do what was announced; the places that the store refused, with the reason. Raises
        StoreUnavailable if it is not known how far it came."""
        changed = set(batch.look.changed) if batch.look is not None else set()
        fresh = [place for place in places if place not in changed]
        old = [place for place in places if place in changed]
        refused: dict[int, str] = {}
        if fresh:
            for refusal in self.store.add(self.collection, _records(batch, fresh)):
                refused[fresh[refusal.index]] = f"{refusal.kind}: {refusal.reason}"
        if old:
            for refusal in self.store.replace(self.collection, _records(batch, old), batch.before):
                refused[old[refusal.index]] = f"{refusal.kind}: {refusal.reason}"
            self._restore(batch, [place for place in old if place in refused])
            # A record that is replaced is missing for a moment: whether that moment is over must be known
            # when one is found missing later.
            for number in batch.numbers:
                self.manifests.note(number, "done")
        return refused

    def retract(self, batch: VectorBatch, places: Sequence[int]) -> None:
        """Take back what was written for places whose record was refused afterwards."""
        changed = set(batch.look.changed) if batch.look is not None else set()
        fresh = [batch.ids[place] for place in places if place not in changed]
        if fresh:
            self.store.delete(self.collection, fresh)
        self._restore(batch, [place for place in places if place in changed])

    def _restore(self, batch: VectorBatch, places: Sequence[int]) -> None:
        ids = {batch.ids[place] for place in places}
        if not ids:
            return
        rows = [row for row, record_id in enumerate(batch.before.ids) if record_id in ids]
        put_back(self.store, self.collection, subset(batch.before, rows))


def put_back(store: VectorStore, collection: str, before: VectorRecords) -> None:
    """Make the records of these ids what they were."""
    there = store.get(collection, list(before.ids))
    present = set(there.ids)
    rows: Mapping[bool, list[int]] = {True: [], False: []}
    for row, record_id in enumerate(before.ids):
        rows[record_id in present].append(row)
    if rows[True]:
        store.replace(collection, subset(before, rows[True]), there)
    if rows[False]:
        store.add(collection, subset(before, rows[False]))


def _records(batch: VectorBatch, places: Sequence[int]) -> VectorRecords:
    return VectorRecords(
        ids=[batch.ids[place] for place in places],
        vectors=batch.vectors[list(places)],
        metadatas=[batch.metadatas[place] for place in places],
        documents=[batch.documents[place] for place in places] if batch.documents is not None else None,
    )
