"""The records' side of a target: look, write down, write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from executor.engines.looking import Existing, Look
from executor.engines.manifest import (
    HASH,
    KeysEntry,
    Manifests,
    RangeEntry,
    hash_of,
    key_entries,
)
from executor.stores.bson_key import identity, key_of
from executor.stores.port import Act, Fate, KeyRange, RecordStore, Refused

_ROUNDS = 4
"""How often a record that changes under our hands is looked at again."""
_REVISED = 500
"""Records that are read, compared and replaced at a time."""


@dataclass(slots=True)
class RecordBatch:
    """Target records of one batch by place (their index), and what is known of them.

    ``places`` are those that are to be written, in order. ``hashes`` are packed, one a record. ``own`` are
    hashes that this step has announced before: found again, they are its own work.
    """

    sequence: int
    upto: bytes
    records: Sequence[bytes]
    hashes: bytes
    places: Sequence[int]
    own: Collection[bytes] = ()
    look: Look | None = None
    before: dict[int, bytes] = field(default_factory=dict)
    announced: list[tuple[int, Sequence[int]]] = field(default_factory=list)

    def hash_at(self, place: int) -> bytes:
        """The hash of the record at a place."""
        return self.hashes[HASH * place : HASH * (place + 1)]

    @property
    def whole(self) -> bool:
        """Whether every record is to be written."""
        return len(self.places) == len(self.records)

    def some(self, places: Sequence[int]) -> Sequence[bytes]:
        """The records at some places."""
        return self.records if len(places) == len(self.records) else [self.records[place] for place in places]


@dataclass(slots=True)
class Written:
    """What became of a batch: places that were written (now or before an interruption), places whose
    record was there already, and places that the store refused, with the reason."""

    written: set[int] = field(default_factory=set)
    unchanged: set[int] = field(default_factory=set)
    refused: dict[int, str] = field(default_factory=dict)


class RecordSide:
    """Writes batches of one step into one collection. Safe from several threads, a batch each."""

    def __init__(
        self,
        store: RecordStore,
        collection: str,
        manifests: Manifests,
        *,
        existing: Existing,
        ranges: bool,
    ) -> None:
        """``ranges``: a fresh batch comes in the order of the target's keys, so that its manifest needs
        no key but the first and the last."""
        self.store, self.collection, self.manifests = store, collection, manifests
        self._existing, self._ranges = existing, ranges

    def look(self, batch: RecordBatch, places: Iterable[int] | None = None) -> Look:
        """Compare with what the target holds."""
        chosen = list(batch.places if places is None else places)
        keys = {place: key_of(batch.records[place]) for place in chosen}
        found = {
            identity(key_of(record)): record
            for record in self.store.fetch(self.collection, list(keys.values()))
        }
        look = Look()
        for place in chosen:
            there = found.get(identity(keys[place]))
            if there is None:
                look.new.append(place)
            elif there == batch.records[place]:
                ours = batch.hash_at(place) in batch.own
                (look.ours if ours else look.equal).append(place)
            else:
                look.differs(place, self._existing)
                if self._existing is Existing.REPLACE:
                    batch.before[place] = there
        return look

    def announce(self, batches: Sequence[RecordBatch]) -> None:
        """Write the manifests of what is about to be done, durably; nothing where nothing is to be done."""
        announced = [(batch, entry, places) for batch in batches for entry, places in self._manifest(batch)]
        numbers = self.manifests.put_all([entry for _, entry, _ in announced])
        for (batch, _, places), number in zip(announced, numbers, strict=True):
            batch.announced.append((number, places))

    def _manifest(self, batch: RecordBatch) -> Sequence[tuple[RangeEntry | KeysEntry, Sequence[int]]]:
        if batch.look is not None or not self._ranges:
            return self._entries(batch, batch.places if batch.look is None else batch.look.todo)
        if not batch.places:
            return []
        first, last = batch.records[batch.places[0]], batch.records[batch.places[-1]]
        entry = RangeEntry(
            sequence=batch.sequence,
            upto=batch.upto,
            bounds=KeyRange(first=key_of(first), last=key_of(last)),
            hashes=batch.hashes if batch.whole else b"".join(map(batch.hash_at, batch.places)),
        )
        return [(entry, batch.places)]

    def _entries(self, batch: RecordBatch, places: Sequence[int]) -> list[tuple[KeysEntry, list[int]]]:
        keys = {place: key_of(batch.records[place]) for place in places}
        hashes = {place: batch.hash_at(place) for place in places}
        return list(key_entries(batch.sequence, batch.upto, places, keys, hashes, batch.before))

    def write(self, batch: RecordBatch) -> Written:
        """Do what was announced. Raises StoreUnavailable if it is not known how far it came; then the
        batch is to be looked at again, with its own hashes."""
        done = Written()
        look = batch.look
        if look is None:
            look = Look(new=list(batch.places))
        done.written.update(look.ours)
        for _ in range(_ROUNDS):
            again = self._insert(batch, look.new, done) + self._replace(batch, look.changed, done)
            done.unchanged.update(look.equal, look.kept)
            done.refused.update(look.refused)
            if not again:
                return done
            look = self._look_again(batch, again)
            done.written.update(look.ours)
        for place in look.todo:
            done.refused[place] = "somebody else keeps writing a record with this id"
        return done

    def _insert(self, batch: RecordBatch, places: Sequence[int], done: Written) -> list[int]:
        """Returns the places whose id somebody else took in between."""
        if not places:
            return []
        refusals = self.store.insert(self.collection, batch.some(places))
        if not refusals:
            done.written.update(places)
            return []
        refused = {places[refusal.index]: refusal for refusal in refusals}
        done.written.update(place for place in places if place not in refused)
        again = [place for place, item in refused.items() if item.kind is Refused.DUPLICATE_ID]
        done.refused.update(
            {
                place: f"{item.kind}: {item.reason}"
                for place, item in refused.items()
                if item.kind is not Refused.DUPLICATE_ID
            }
        )
        return again

    def _replace(self, batch: RecordBatch, places: Sequence[int], done: Written) -> list[int]:
        again: list[int] = []
        for start in range(0, len(places), _REVISED):
            again.extend(self._revise(batch, places[start : start + _REVISED], done))
        return again

    def _revise(self, batch: RecordBatch, places: Sequence[int], done: Written) -> list[int]:
        """Replace the before-images, and only those. Returns the places where something else was."""
        keys = {place: key_of(batch.records[place]) for place in places}
        by_id = {identity(key): place for place, key in keys.items()}

        def decide(record: bytes) -> bytes | Act:
            place = by_id.get(identity(key_of(record)))
            if place is None or record != batch.before[place]:
                return Act.LEAVE
            return batch.records[place]

        settled: set[int] = set()
        for revised in self.store.revise(self.collection, list(keys.values()), decide):
            place = by_id.get(identity(key_of(revised.record)))
            if place is None or revised.fate is Fate.LEFT:
                continue
            settled.add(place)
            if revised.fate is Fate.REFUSED:
                done.refused[place] = revised.reason
            else:
                done.written.add(place)
        return [place for place in places if place not in settled]

    def _look_again(self, batch: RecordBatch, places: Sequence[int]) -> Look:
        """Look at what is there instead of what we had seen, and correct the manifest before anything else:
        what is somebody else's must not be taken for ours when the step is taken back."""
        for place in places:
            batch.before.pop(place, None)
        look = self.look(batch, places)
        gone = set(places)
        announced, batch.announced = batch.announced, []
        for number, group in announced:
            left = [place for place in group if place not in gone]
            if len(left) == len(group):
                batch.announced.append((number, group))
            else:
                self._rewrite(batch, number, left)
        for entry, group in self._entries(batch, look.todo):
            batch.announced.append((self.manifests.put(entry), group))
        return look

    def _rewrite(self, batch: RecordBatch, number: int, places: Sequence[int]) -> None:
        """Put an entry of fewer places in the place of one; what it cannot hold gets entries of its own
        before that, so that none is without one."""
        nothing = KeysEntry(sequence=batch.sequence, upto=batch.upto, keys=(), hashes=b"")
        first, *rest = self._entries(batch, places) or [(nothing, [])]
        for entry, group in rest:
            batch.announced.append((self.manifests.put(entry), group))
        self.manifests.rewrite(number, first[0])
        batch.announced.append((number, first[1]))


def hashes_of(records: Sequence[bytes]) -> bytes:
    """The records' hashes, packed."""
    return b"".join(map(hash_of, records))
