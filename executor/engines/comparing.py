"""Whether what a bulk job should have written is what is in the target: read again, made again, compared.

Bounded in memory: one batch at a time, and at most :data:`LISTED` differences are named. A difference
must be seen twice, a moment apart: what is being written just now is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import bson
import numpy as np
import xxhash
from bson.codec_options import CodecOptions, DatetimeConversion

from compiler.model.run import Counts
from executor.engines.job import Job, Pending, RecordTarget, VectorTarget
from executor.engines.looking import Existing
from executor.engines.sketch import alike
from executor.engines.unit import key_text
from executor.stores.bson_key import identity, key_of
from executor.stores.port import RecordBatch, VectorRecords
from executor.transform.batch import BatchResult

if TYPE_CHECKING:
    from executor.stores.port import Vectors

LISTED = 100
_DATES: CodecOptions[dict[str, object]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
_SCALE = 10_000_000
_AHEAD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Which records are compared: ``share`` per cent of them, chosen by the hash of their ids, so that the
    same ones are chosen every time."""

    share: float = 100.0

    def takes(self, record_id: bytes) -> bool:
        """Whether the record of that id is among them."""
        if self.share >= 100:
            return True
        return xxhash.xxh3_64_intdigest(record_id) % _SCALE < self.share / 100 * _SCALE

    @property
    def missing(self) -> float:
        """The probability that a single difference goes unseen."""
        return max(0.0, 1 - self.share / 100)


@dataclass(slots=True)
class Findings:
    """What a comparison found. ``expected``: records that must be in the target. ``dead``: source records
    that cannot be there, by the transform's own verdict or by a dead letter."""

    read: int = 0
    compared: int = 0
    expected: int = 0
    filtered: int = 0
    dead: int = 0
    missing: int = 0
    differing: int = 0
    listed: list[str] = field(default_factory=list)

    @property
    def differences(self) -> int:
        return self.missing + self.differing

    def add(self, what: str, *, missing: bool) -> None:
        """Count a difference, and name it if there is room."""
        if missing:
            self.missing += 1
        else:
            self.differing += 1
        if len(self.listed) < LISTED:
            self.listed.append(what)


class Comparison:
    """Compares a job's source with its targets. ``records`` and ``vectors`` say which sides."""

    def __init__(
        self,
        job: Job,
        sample: Sample,
        *,
        records: bool,
        vectors: bool,
        explained: Callable[[str], bool],
        proceed: Callable[[], None],
        progress: Callable[[Counts], None],
        settle: Callable[[], None],
    ) -> None:
        """``explained``: whether a dead letter says why the source record of that key (canonical extended
        JSON) is not in the target. ``settle`` waits a moment before a difference is looked at again."""
        self._job, self._sample = job, sample
        self._records = job.records if records else None
        self._vectors = job.vectors if vectors else None
        self._explained, self._proceed, self._progress = explained, proceed, progress
        self._settle = settle
        self._kept = job.settings.existing is Existing.KEEP
        self.findings = Findings()

    def run(self) -> Findings:
        """Compare everything. Raises FordwayError, Stopped."""
        for batch, shaped in self._shaped():
            self._proceed()
            self._compare(batch, shaped)
            found = self.findings
            self._progress(Counts(read=found.read, unchanged=found.compared, dead=found.dead))
        return self.findings

    def _shaped(self) -> Iterator[tuple[RecordBatch, BatchResult | None]]:
        """Source batches with what the transform makes of them, a few ahead."""
        shape = self._job.shape
        waiting: list[tuple[RecordBatch, Pending]] = []
        for batch in self._job.source.read(None):
            if shape is None:
                yield batch, None
                continue
            waiting.append((batch, shape.submit(batch.records)))
            if len(waiting) >= _AHEAD:
                first, pending = waiting.pop(0)
                yield first, pending.result()
        for first, pending in waiting:
            yield first, pending.result()

    def _compare(self, batch: RecordBatch, shaped: BatchResult | None) -> None:
        found = self.findings
        found.read += len(batch.records)
        records = batch.records if shaped is None else shaped.records
        if shaped is not None:
            found.filtered += shaped.filtered
            found.dead += len(shaped.dead)
        sources: Sequence[int] = range(len(batch.records)) if shaped is None else shaped.places
        found.expected += len(sources)
        ids = _ids(records, shaped)
        chosen = [place for place, record_id in enumerate(ids) if self._sample.takes(record_id)]
        found.compared += len(chosen)
        faults: dict[int, tuple[str, bool]] = {}
        for again in (False, True):
            if again:
                self._settle()
            places = chosen if not again else list(faults)
            faults = {}
            if self._records is not None:
                faults.update(_record_faults(self._records, records, places, kept=self._kept))
            if self._vectors is not None and shaped is not None:
                for place, fault in _vector_faults(self._vectors, shaped, places).items():
                    faults.setdefault(place, fault)
            if not faults:
                return
        for place, (what, missing) in sorted(faults.items()):
            source = key_text(key_of(batch.records[sources[place]]))
            if self._explained(source):
                found.dead += 1
                found.expected -= 1
                continue
            found.add(f"{source}: {what}", missing=missing)


def _ids(records: Sequence[bytes], shaped: BatchResult | None) -> list[bytes]:
    if shaped is not None and shaped.ids:
        return [record_id.encode("utf-8", "surrogatepass") for record_id in shaped.ids]
    return [key_of(record) for record in records]


def _record_faults(
    target: RecordTarget, records: Sequence[bytes], places: Sequence[int], *, kept: bool
) -> dict[int, tuple[str, bool]]:
    """Place → what is wrong with the record in the target, and whether it is missing. ``kept``: what was
    there before was to stay, so that another record is no fault."""
    keys = {place: key_of(records[place]) for place in places}
    there = {
        identity(key_of(record)): record
        for record in target.store.fetch(target.collection, list(keys.values()))
    }
    faults: dict[int, tuple[str, bool]] = {}
    for place, key in keys.items():
        found = there.get(identity(key))
        if found is None:
            faults[place] = (f"not in {target.name}", True)
        elif found != records[place] and not kept:
            faults[place] = (f"another record in {target.name}: {_difference(records[place], found)}", False)
    return faults


def _difference(expected: bytes, found: bytes) -> str:
    """The first fields in which two records differ, by name."""
    one, other = bson.decode(expected, _DATES), bson.decode(found, _DATES)
    names = [name for name in {**one, **other} if one.get(name, ...) != other.get(name, ...)]
    return "fields " + ", ".join(sorted(names)[:5]) if names else "types or the order of fields"


def _vector_faults(
    target: VectorTarget, shaped: BatchResult, places: Sequence[int]
) -> dict[int, tuple[str, bool]]:
    found = target.store.get(
        target.collection, [shaped.ids[place] for place in places], vectors=True, documents=False
    )
    rows = {record_id: row for row, record_id in enumerate(found.ids)}
    own = _own_vectors(target, shaped)
    faults: dict[int, tuple[str, bool]] = {}
    for place in places:
        row = rows.get(shaped.ids[place])
        if row is None:
            faults[place] = (f"no vector in {target.name}", True)
            continue
        what = _vector_fault(target, shaped, place, found, row, own)
        if what:
            faults[place] = (f"{what} in {target.name}", False)
    return faults


def _own_vectors(target: VectorTarget, shaped: BatchResult) -> Vectors | None:
    """The vectors that come with the documents; others could only be had by embedding again."""
    if not target.embedder.from_documents:
        return None
    rows = np.frombuffer(shaped.vectors, dtype="<f4").astype(np.float32)
    return rows.reshape(len(shaped.ids), target.embedder.dimension)


def _vector_fault(
    target: VectorTarget,
    shaped: BatchResult,
    place: int,
    found: VectorRecords,
    row: int,
    own: Vectors | None,
) -> str:
    assert found.vectors is not None
    vector = found.vectors[row]
    if len(vector) != target.embedder.dimension:
        return f"a vector of {len(vector)} dimensions"
    if not np.isfinite(np.linalg.norm(vector)):
        return "a vector that is not finite"
    there: Mapping[str, object] = (found.metadatas[row] if found.metadatas else None) or {}
    if _text(there) != _text(shaped.metadata[place]):
        return "a vector with other metadata"
    if own is not None and not alike(own[place], vector):
        return "another vector"
    return ""


def _text(metadata: Mapping[str, object]) -> str:
    return json.dumps(metadata, sort_keys=True)
