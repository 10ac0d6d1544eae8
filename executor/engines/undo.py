"""The way back: what the manifests announced, newest first, where it still is what this step wrote.

A record that somebody changed since is left alone and listed. May be killed and run again: an entry is
marked when it is undone, and what it speaks of is compared before it is touched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import xxhash

from compiler.model.plan import Json, JsonObject
from executor.contract import Context, Outcome, StepFailed
from executor.crashpoints import reach
from executor.engines.manifest import (
    HASH,
    MARK,
    KeysEntry,
    Manifests,
    RangeEntry,
    StateEntry,
    VectorsEntry,
    hash_of,
    manifests_of,
    split,
    subset,
)
from executor.engines.unit import key_text
from executor.engines.vectors import marks_of, put_back, same_mark
from executor.stores.bson_key import identity, key_of
from executor.stores.port import Act, Fate, RecordStore, VectorRecords, VectorStore

LISTED = 1000
"""How many records that others changed are named; all are counted."""
_AT_ONCE = 500
"""Records that are read, compared and taken back at a time."""


@dataclass(slots=True)
class Taken:
    """What an undo did, and what it left alone: ``listed`` names target and key, at most :data:`LISTED`."""

    deleted: int = 0
    restored: int = 0
    listed: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    fresh: list[tuple[str, str]] = field(default_factory=list)
    """What was left alone since the last entry was marked as undone."""
    _left: set[int] = field(default_factory=set)

    def leave(self, target: str, key: str) -> None:
        """Somebody changed that record since; ``key`` is its canonical extended JSON."""
        known = xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogatepass"))
        if known not in self._left:
            self._left.add(known)
            self.fresh.append((target, key))
            if len(self.listed) < LISTED:
                self.listed.append(f"{target} {key}")

    def left(self, key: str) -> bool:
        """Whether a record of that key was left alone."""
        return xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogatepass")) in self._left

    def outcome(self) -> Outcome:
        dropped: list[Json] = list(self.dropped)
        result: dict[str, Json] = {"deleted": self.deleted, "restored": self.restored, "dropped": dropped}
        if self.listed:
            names: list[Json] = list(self.listed)
            result.update(changedSince=names, changedCount=len(self._left))
        return Outcome(result=result)


Undoable = RangeEntry | KeysEntry | VectorsEntry


def undo_all(
    context: Context, manifests: Manifests, taken: Taken, undo: Callable[[int, Undoable], None]
) -> None:
    """Undo a log's entries, newest first; each is marked when it is undone, with what was left alone, which
    an attempt that goes on after a crash must know too."""
    for number in manifests.numbers():
        entry = manifests.get(number)
        if isinstance(entry, StateEntry):
            for target, key in entry.left:
                taken.leave(target, key)
            continue
        context.proceed()
        taken.fresh.clear()
        undo(number, entry)
        reach("undo.after-batch")
        mark = StateEntry(sequence=entry.sequence, of=number, state="undone", left=tuple(taken.fresh))
        manifests.rewrite(number, mark)
        reach("undo.after-mark")


def undo_records(
    context: Context, manifests: Manifests, store: RecordStore, collection: str, target: str, taken: Taken
) -> None:
    """Take back what was written to a collection of records."""

    def undo(_: int, entry: Undoable) -> None:
        if isinstance(entry, RangeEntry):
            _undo_range(entry, store, collection, target, taken)
        elif isinstance(entry, KeysEntry):
            _undo_keys(entry, store, collection, target, taken)

    undo_all(context, manifests, taken, undo)


def _undo_range(entry: RangeEntry, store: RecordStore, collection: str, target: str, taken: Taken) -> None:
    ours = set(split(entry.hashes, HASH))
    for found in store.fetch_range(collection, entry.bounds):
        keys: list[bytes] = []
        for record in found:
            if hash_of(record) in ours:
                keys.append(key_of(record))
            else:
                taken.leave(target, key_text(key_of(record)))
        for start in range(0, len(keys), _AT_ONCE):
            _delete(keys[start : start + _AT_ONCE], ours, store, collection, target, taken)


def _delete(
    keys: Sequence[bytes], ours: set[bytes], store: RecordStore, collection: str, target: str, taken: Taken
) -> None:
    def decide(record: bytes) -> bytes | Act:
        return Act.DELETE if hash_of(record) in ours else Act.LEAVE

    for revised in store.revise(collection, keys, decide):
        if revised.fate is Fate.DELETED:
            taken.deleted += 1
        else:
            taken.leave(target, key_text(key_of(revised.record)))


def _undo_keys(entry: KeysEntry, store: RecordStore, collection: str, target: str, taken: Taken) -> None:
    hashes = split(entry.hashes, HASH)
    # Last first: a value of a unique index that moved from record to record moves back the same way.
    for start in reversed(range(0, len(entry.keys), _AT_ONCE)):
        places = range(start, min(start + _AT_ONCE, len(entry.keys)))
        _undo_some(entry, places, hashes, store, collection, target, taken)


def _undo_some(
    entry: KeysEntry,
    places: Sequence[int],
    hashes: Sequence[bytes],
    store: RecordStore,
    collection: str,
    target: str,
    taken: Taken,
) -> None:
    by_id = {identity(entry.keys[place]): place for place in places}

    def decide(record: bytes) -> bytes | Act:
        place = by_id.get(identity(key_of(record)))
        if place is None or hash_of(record) != hashes[place]:
            return Act.LEAVE
        return entry.before.get(place, Act.DELETE)

    gone = {place for place in places if place in entry.before}
    for revised in store.revise(collection, [entry.keys[place] for place in places], decide):
        place = by_id.get(identity(key_of(revised.record)))
        if place is None:
            continue
        gone.discard(place)
        if revised.fate is Fate.DELETED:
            taken.deleted += 1
        elif revised.fate is Fate.REPLACED:
            taken.restored += 1
        elif revised.record != entry.before.get(place):
            taken.leave(target, key_text(key_of(revised.record)))
    for place in gone:  # overwritten by us, and deleted by somebody since
        taken.leave(target, key_text(entry.keys[place]))


def undo_vectors(
    context: Context, manifests: Manifests, store: VectorStore, collection: str, target: str, taken: Taken
) -> None:
    """Take back what was written to a collection of vectors. Vectors of records that were left alone (their
    ids as texts are in ``taken``) are left with them."""
    states = manifests.states()

    def undo(number: int, entry: Undoable) -> None:
        if isinstance(entry, VectorsEntry):
            done = states.get(number) == "done"
            if done:
                manifests.note(number, "undoing")
                reach("undo.after-mark")
            _undo_vectors(entry, store, collection, target, taken, deleted_by_others=done)

    undo_all(context, manifests, taken, undo)


def _undo_vectors(
    entry: VectorsEntry,
    store: VectorStore,
    collection: str,
    target: str,
    taken: Taken,
    *,
    deleted_by_others: bool,
) -> None:
    """``deleted_by_others``: a record that should be there and is not was deleted by somebody else, not by
    a replacement that was interrupted."""
    before = entry.before or VectorRecords(ids=())
    rows = {record_id: row for row, record_id in enumerate(before.ids)}
    marks = dict(zip(entry.ids, split(entry.marks, MARK), strict=True))
    old = dict(zip(before.ids, marks_of(before), strict=True)) if before.ids else {}
    found = store.get(collection, list(entry.ids))
    there = dict(zip(found.ids, marks_of(found), strict=True)) if found.ids else {}
    delete: list[str] = []
    restore: list[str] = []
    for record_id in entry.ids:
        mark = there.get(record_id)
        if mark is None:
            if record_id in rows:
                _missing(record_id, restore, target, taken, deleted_by_others=deleted_by_others)
        elif taken.left(_text(record_id)):
            continue
        elif same_mark(mark, marks[record_id]):
            (restore if record_id in rows else delete).append(record_id)
        elif record_id not in old or not same_mark(mark, old[record_id]):
            taken.leave(target, _text(record_id))
    if delete:
        store.delete(collection, delete)
    if restore:
        put_back(store, collection, subset(before, [rows[record_id] for record_id in restore]))
    taken.deleted += len(delete)
    taken.restored += len(restore)


def _missing(
    record_id: str, restore: list[str], target: str, taken: Taken, *, deleted_by_others: bool
) -> None:
    if deleted_by_others:
        taken.leave(target, _text(record_id))
    else:
        restore.append(record_id)


def _text(record_id: str) -> str:
    return json.dumps(record_id, ensure_ascii=False)


def undo_step(
    context: Context,
    step: str,
    prepared: JsonObject,
    *,
    records: tuple[str, RecordStore, str] | None,
    vectors: tuple[str, VectorStore, str] | None,
) -> Outcome:
    """Take a step back. The targets are (name, store, collection); ``prepared`` is what they were. Records
    go first, as they are the mark of what is complete."""
    taken = Taken()
    logs = [manifests_of(side[1], context, step) for side in (records, vectors) if side is not None]
    counts = context.counts_of(step)
    if counts is not None and counts.written and not any(log.numbers() for log in logs):
        raise StepFailed(
            f"step '{step}' wrote {counts.written} records, and its before-images are gone",
            hint="they are kept for policy.retention; restore from a backup instead",
        )
    if records is not None:
        name, store, collection = records
        undo_records(context, logs[0], store, collection, name, taken)
    if vectors is not None:
        name, vector_store, collection = vectors
        undo_vectors(context, logs[-1], vector_store, collection, name, taken)
    if records is not None and _created(prepared, "records"):
        _drop_empty(*records, context, taken)
    if vectors is not None and _created(prepared, "vectors"):
        _drop_empty(*vectors, context, taken)
    return taken.outcome()


def _created(prepared: JsonObject, side: str) -> bool:
    facts = prepared.get(side)
    return isinstance(facts, Mapping) and facts.get("existed") is False


def _drop_empty(
    name: str, store: RecordStore | VectorStore, collection: str, context: Context, taken: Taken
) -> None:
    """Drop a collection that the step itself created, if nothing is in it."""
    if store.exists(collection) and store.count(collection) == 0:
        context.proceed()
        store.drop(collection)
        taken.dropped.append(name)
