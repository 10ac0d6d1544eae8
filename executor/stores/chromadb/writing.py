"""Writing vectors so that what comes back is what was sent, one faulty record costing none of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from executor.contract import StoreRefused
from executor.stores.chromadb.metadata import metadata_fault, text_fault
from executor.stores.chromadb.telling import NotThere, told
from executor.stores.port import Metadata, Refusal, Refused, VectorRecords

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection

    from executor.stores.port import Vectors

_SHORTEST, _LONGEST = 1e-18, 1e18
"""Beyond these, the square of a vector's length is no float32 and cosine loses the vector."""
_SAME = 1e-5  # relative; what normalising and back costs a float32


def metric_of(found: Collection) -> str | None:
    """The metric of a collection's index."""
    configuration = found.configuration_json
    for kind in ("hnsw", "spann"):
        space = (configuration.get(kind) or {}).get("space")
        if space is not None:
            return str(space)
    return None


def rows_of(records: VectorRecords) -> Vectors:
    """The vectors, one a record. Raises ValueError if they are not."""
    if records.vectors is None or len(records.vectors) != len(records.ids):
        raise ValueError("every record needs a vector")
    return records.vectors


@dataclass(slots=True)
class Writer:
    """Writes some records into one collection, ``at_once`` at a time."""

    name: str
    found: Collection
    records: VectorRecords
    metric: str | None
    at_once: int

    def add(self) -> list[Refusal]:
        """See VectorStore.add."""
        faults = self._faults()
        refused = _refusals(faults)
        for places in self._groups([at for at in range(len(self.records.ids)) if at not in faults]):
            refused.extend(self._add(places))
        return sorted(refused, key=lambda refusal: refusal.index)

    def replace(self, before: VectorRecords) -> list[Refusal]:
        """See VectorStore.replace. Where only metadata differs it is updated, key by key; else the record
        is deleted and added, which takes a third of the time of an upsert and leaves nothing of the old
        one. A crash in between leaves it missing."""
        faults = self._faults()
        refused = _refusals(faults)
        old = {record_id: at for at, record_id in enumerate(before.ids)}
        light: list[int] = []
        heavy: list[int] = []
        for at, record_id in enumerate(self.records.ids):
            if at not in faults:
                same = record_id in old and self._same_but_metadata(at, before, old[record_id])
                (light if same else heavy).append(at)
        for places in self._groups(light):
            self._update(places, before, old)
        for places in self._groups(heavy):
            with told(self.name):
                self.found.delete(ids=[self.records.ids[at] for at in places])
            refused.extend(self._add(places))
        return sorted(refused, key=lambda refusal: refusal.index)

    def _groups(self, places: list[int]) -> Iterator[list[int]]:
        for start in range(0, len(places), self.at_once):
            yield places[start : start + self.at_once]

    def _faults(self) -> dict[int, str]:
        """The records that ChromaDB would refuse, or worse, change."""
        records, faults = self.records, dict[int, str]()
        if not records.ids:
            return faults
        rows = rows_of(records)
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        for at, length in enumerate(lengths.tolist()):
            if not np.isfinite(length):
                faults[at] = "the vector holds NaN or infinity"
            elif self.metric == "cosine" and length and not _SHORTEST < length < _LONGEST:
                faults[at] = f"the vector's length {length:.3g} cannot be normalised"
            elif fault := self._text_fault(at):
                faults[at] = fault
        return faults

    def _text_fault(self, at: int) -> str:
        record_id = self.records.ids[at]
        if not record_id:
            return "the id is empty"
        if fault := text_fault(record_id):
            return f"the id {fault}"
        document = self.records.documents[at] if self.records.documents is not None else None
        if document is not None and (fault := text_fault(document)):
            return f"the document {fault}"
        return metadata_fault(self.records.metadatas[at]) if self.records.metadatas else ""

    def _add(self, places: Sequence[int]) -> list[Refusal]:
        """Add some records; a refused batch is halved down to the record at fault."""
        records = self.records
        try:
            with told(self.name):
                self.found.add(
                    ids=[records.ids[at] for at in places],
                    embeddings=rows_of(records)[list(places)],
                    metadatas=_some(records.metadatas, places),
                    documents=_some(records.documents, places),
                )
        except NotThere:
            raise
        except StoreRefused as error:
            if len(places) == 1:
                return [Refusal(index=places[0], kind=Refused.INVALID, reason=str(error.__cause__)[:300])]
            half = len(places) // 2
            return [*self._add(places[:half]), *self._add(places[half:])]
        return []

    def _update(self, places: Sequence[int], before: VectorRecords, old: Mapping[str, int]) -> None:
        ids: list[str] = []
        changes: list[dict[str, object]] = []
        for at in places:
            record_id = self.records.ids[at]
            new: Metadata = (self.records.metadatas[at] if self.records.metadatas else None) or {}
            gone: Metadata = (before.metadatas[old[record_id]] if before.metadatas else None) or {}
            # A key that is not named would stay.
            change: dict[str, object] = {**dict.fromkeys(gone.keys() - new.keys()), **new}
            if change:
                ids.append(record_id)
                changes.append(change)
        if ids:
            with told(self.name):
                self.found.update(ids=ids, metadatas=changes)

    def _same_but_metadata(self, at: int, before: VectorRecords, there: int) -> bool:
        if before.vectors is None or before.documents is None:
            return False
        document = self.records.documents[at] if self.records.documents is not None else None
        new, old = rows_of(self.records)[at], before.vectors[there]
        return document == before.documents[there] and bool(
            np.allclose(new, old, rtol=_SAME, atol=_SAME * float(np.linalg.norm(old)))
        )


def _refusals(faults: Mapping[int, str]) -> list[Refusal]:
    return [Refusal(index=at, kind=Refused.INVALID, reason=why) for at, why in faults.items()]


def _some(column: Sequence[object] | None, places: Sequence[int]) -> list[object] | None:
    """Some of a column; None if there is nothing in it. ChromaDB refuses an empty mapping."""
    if not column:
        return None
    some = [None if column[at] == {} else column[at] for at in places]
    return some if any(item is not None for item in some) else None
