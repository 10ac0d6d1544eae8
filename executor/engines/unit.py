"""One batch through the protocol: look, embed, write down, vectors, records.

The record is the commit mark of the unit: where it is, its vectors are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

from compiler.model.run import Counts
from executor.contract import DeadLetter
from executor.crashpoints import reach
from executor.engines.job import VectorTarget
from executor.engines.looking import Look
from executor.engines.records import RecordBatch, RecordSide, hashes_of
from executor.engines.tracker import Done
from executor.engines.vectors import VectorBatch, VectorSide
from executor.stores.bson_key import key_of
from executor.stores.port import RecordBatch as SourceBatch
from executor.transform.batch import BatchResult

if TYPE_CHECKING:
    from executor.stores.port import Vectors

_EXACT: CodecOptions[dict[str, object]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)


@dataclass(slots=True)
class Unit:
    """A batch on its way. ``position`` counts the step's source records from 0. ``careful``: the target may
    hold some of it. ``upto``: how far in the source effects that are in doubt may reach once this batch is
    begun. ``own`` and ``own_ids``: hashes and ids that this step has announced before."""

    sequence: int
    position: int
    source: SourceBatch
    careful: bool
    upto: bytes
    own: Collection[bytes] = frozenset()
    own_ids: frozenset[str] = frozenset()
    shaped: BatchResult | None = None
    doubles: Collection[int] = ()
    """Places in ``shaped`` whose id an earlier source record has."""
    announced: RecordBatch | None = None
    """Set where the manifest was written ahead of the writer."""
    _tried: tuple[RecordBatch | None, VectorBatch | None] = (None, None)

    def trying(self, records: RecordBatch | None, vectors: VectorBatch | None) -> None:
        """Remember what is about to be announced, in case it stays in doubt."""
        self._tried = (records, vectors)

    def doubt(self) -> None:
        """How far the last attempt came is not known: look before writing, and know what is our own."""
        records, vectors = self._tried
        self.careful = True
        if records is not None:
            self.own = {*self.own, *map(records.hash_at, records.places)}
        if vectors is not None:
            self.own_ids = self.own_ids.union(vectors.ids)


@dataclass(slots=True)
class _Fates:
    """What became of the places of a shaped batch. ``dead``: place → (stage, reason)."""

    written: set[int] = field(default_factory=set)
    unchanged: set[int] = field(default_factory=set)
    dead: dict[int, tuple[str, str]] = field(default_factory=dict)

    def die(self, stage: str, reasons: Mapping[int, str]) -> None:
        for place, reason in reasons.items():
            self.dead.setdefault(place, (stage, reason))


@dataclass(slots=True, kw_only=True)
class UnitWriter:
    """Takes units through the protocol. Safe from several threads, a unit each."""

    records: RecordSide | None
    vectors: VectorSide | None
    target: VectorTarget | None
    proceed: Callable[[], None]
    documents: bool

    def ready(self) -> None:
        """Get ready to write into a fresh target, while the first batch is being read."""
        if self.records is not None:
            self.records.manifests.ready()

    def announce_ahead(self, units: Sequence[Unit]) -> None:
        """Write the manifests of fresh batches of records before their turn has come, together: waiting for
        the disk then costs the writers nothing. Raises StoreUnavailable, after which all of them are
        looked at with care."""
        if self.vectors is not None or self.records is None:
            return
        batches = {unit.sequence: self._record_batch(unit) for unit in units if not unit.careful}
        if not batches:
            return
        self.proceed()
        self.records.announce(list(batches.values()))
        for unit in units:
            unit.announced = batches.get(unit.sequence)

    def write(self, unit: Unit) -> Done:
        """Take a unit to its end. Raises StoreUnavailable in doubt; then it may be tried again, careful."""
        fates = _Fates()
        fates.die(
            "target", dict.fromkeys(unit.doubles, "duplicate-id: an earlier source record has the same id")
        )
        embedded = 0
        if self.vectors is None:
            self._write_records(unit, fates)
        else:
            embedded = self._write_vectors(unit, fates)
        return _done(unit, fates, embedded)

    def _record_batch(self, unit: Unit) -> RecordBatch:
        records = unit.source.records if unit.shaped is None else unit.shaped.records
        return RecordBatch(
            unit.sequence,
            unit.upto,
            records,
            hashes_of(records) if unit.shaped is None else unit.shaped.hashes,
            all_places(range(len(records)), without=unit.doubles) if unit.doubles else range(len(records)),
            unit.own,
        )

    def _write_records(self, unit: Unit, fates: _Fates) -> None:
        assert self.records is not None
        batch, unit.announced = unit.announced or self._record_batch(unit), None
        unit.trying(batch, None)
        if unit.careful:
            batch.look = self.records.look(batch)
        if not batch.announced:
            self.proceed()
            self.records.announce([batch])
        if batch.announced:
            reach("bulk.after-manifest")
            self.proceed()
        done = self.records.write(batch)
        fates.written |= done.written
        fates.unchanged |= done.unchanged
        fates.die("write", done.refused)
        if batch.announced:
            reach("bulk.after-write")

    def _write_vectors(self, unit: Unit, fates: _Fates) -> int:
        """A unit that has vectors; returns how many texts were embedded."""
        assert self.vectors is not None
        assert unit.shaped is not None
        batch = self._vector_batch(unit, unit.shaped)
        places = [place for place in range(len(batch.ids)) if place not in fates.dead]
        pair = self._look(unit, batch, places, fates)
        unit.trying(pair, batch)
        embedded = self._embed(unit.shaped, batch, fates)
        assert batch.look is not None
        self._drop_dead(pair, batch, fates)
        todo = batch.look.todo
        if todo or (pair is not None and pair.look is not None and pair.look.todo):
            self._announce(pair, batch, todo)
            self._write_pair(pair, batch, todo, fates)
        return embedded

    def _vector_batch(self, unit: Unit, shaped: BatchResult) -> VectorBatch:
        assert self.target is not None
        return VectorBatch(
            sequence=unit.sequence,
            upto=unit.upto,
            ids=shaped.ids,
            metadatas=shaped.metadata,
            documents=[text or None for text in shaped.texts] if self.documents else None,
            vectors=_rows(shaped, self.target),
            own=unit.own_ids,
        )

    def _look(
        self, unit: Unit, batch: VectorBatch, places: Sequence[int], fates: _Fates
    ) -> RecordBatch | None:
        """Look at both sides."""
        assert self.vectors is not None
        pair = self._record_batch(unit) if self.records is not None else None
        if not unit.careful:
            batch.look = Look(new=list(places))
            if pair is not None:
                pair.look = Look(new=list(places))
            return pair
        looked = list(places)
        if pair is not None and self.records is not None:
            pair.look = self.records.look(pair, places)
            fates.die("target", pair.look.refused)
            fates.unchanged.update(pair.look.kept)
            # A record that stays as it is keeps its vector too.
            looked = all_places(places, without=(*pair.look.kept, *pair.look.refused))
        batch.look = self.vectors.look(batch, looked)
        fates.die("target", batch.look.refused)
        _settle(pair.look if pair is not None else None, batch.look, fates)
        return pair

    def _embed(self, shaped: BatchResult, batch: VectorBatch, fates: _Fates) -> int:
        """Fill in the vectors of what is to be written and has none yet."""
        assert self.vectors is not None
        assert self.target is not None
        assert batch.look is not None
        if self.target.embedder.from_documents:
            return 0
        reused = self.vectors.reuse(batch)
        places = [place for place in batch.look.todo if place not in reused]
        if not places:
            return 0
        self.proceed()
        answer = self.target.embedder.embed([shaped.texts[place] for place in places])
        batch.vectors[places] = answer.vectors
        fates.die("embed", {places[at]: reason for at, reason in answer.unusable.items()})
        return len(places)

    def _drop_dead(self, pair: RecordBatch | None, batch: VectorBatch, fates: _Fates) -> None:
        assert batch.look is not None
        batch.look.without(fates.dead)
        if pair is not None and pair.look is not None:
            pair.look.without(fates.dead)

    def _announce(self, pair: RecordBatch | None, batch: VectorBatch, todo: Sequence[int]) -> None:
        assert self.vectors is not None
        self.proceed()
        self.vectors.announce(batch, todo)
        if pair is not None and self.records is not None:
            self.records.announce([pair])
        reach("bulk.after-manifest")

    def _write_pair(
        self, pair: RecordBatch | None, batch: VectorBatch, todo: Sequence[int], fates: _Fates
    ) -> None:
        assert self.vectors is not None
        assert batch.look is not None
        refused: dict[int, str] = {}
        if todo:
            self.proceed()
            refused = self.vectors.write(batch, todo)
        fates.die("write", refused)
        reach("bulk.after-vectors")
        if pair is not None and self.records is not None and pair.look is not None:
            pair.look.without(refused)
            self.proceed()
            done = self.records.write(pair)
            fates.written |= done.written
            fates.unchanged |= done.unchanged
            fates.die("write", done.refused)
            there = all_places([*todo, *batch.look.ours], without=refused)
            orphans = [place for place in there if place in done.refused]
            if orphans:
                self.vectors.retract(batch, orphans)
        fates.written.update(all_places(todo, without=fates.dead))
        reach("bulk.after-write")


def _settle(records: Look | None, vectors: Look, fates: _Fates) -> None:
    """What a look alone decides: written by us before an interruption, or the same from before."""
    ours = set(vectors.ours)
    same = {*vectors.equal, *vectors.kept}
    if records is not None:
        ours |= set(records.ours)
        same &= set(records.equal)
    fates.written |= ours
    fates.unchanged |= same - ours


def _rows(shaped: BatchResult, target: VectorTarget) -> Vectors:
    """Shape (ids, dimension): the documents' own vectors, or room for those of the embedder."""
    import numpy as np

    shape = (len(shaped.ids), target.embedder.dimension)
    if target.embedder.from_documents:
        return np.frombuffer(shaped.vectors, dtype="<f4").astype(np.float32).reshape(shape)
    return np.full(shape, np.nan, dtype=np.float32)


def _done(unit: Unit, fates: _Fates, embedded: int) -> Done:
    """Count what became of the unit: read = written + unchanged + filtered + dead."""
    shaped = unit.shaped
    places: Sequence[int] = range(len(unit.source.records)) if shaped is None else shaped.places
    letters = [(places[place], stage, reason) for place, (stage, reason) in fates.dead.items()]
    if shaped is not None:
        letters.extend((dead.at, dead.stage, dead.reason) for dead in shaped.dead)
    written = fates.written - fates.dead.keys()
    filtered = shaped.filtered if shaped is not None else 0
    read = len(unit.source.records)
    return Done(
        sequence=unit.sequence,
        resume=unit.source.resume,
        size=unit.source.size,
        counts=Counts(
            read=read,
            written=len(written),
            unchanged=len(fates.unchanged - written - fates.dead.keys()),
            filtered=filtered,
            dead=len(letters),
            embedded=embedded,
            bytes=unit.source.size,
        ),
        dead=[_letter(unit, *letter) for letter in sorted(letters)],
    )


def _letter(unit: Unit, at: int, stage: str, reason: str) -> DeadLetter:
    body = unit.source.records[at]
    return DeadLetter(
        key=key_text(key_of(body)), reason=reason, stage=stage, body=body, position=unit.position + at
    )


def key_text(key: bytes) -> str:
    """A key's value as canonical extended JSON."""
    value = bson.decode(key, _EXACT)["_id"]
    return dumps(value, json_options=CANONICAL_JSON_OPTIONS, separators=(",", ":"), ensure_ascii=False)


def all_places(places: Iterable[int], without: Iterable[int]) -> list[int]:
    """Places but for some."""
    gone = set(without)
    return [place for place in places if place not in gone]
