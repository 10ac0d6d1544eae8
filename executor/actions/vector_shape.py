"""Vectors out of a file, as the pipeline wants them: a shape, and what stands where an embedder does."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import bson

from executor.embedding.port import Embedded, EmbeddingRefused
from executor.stores.files.vectors import DOCUMENT, ID, METADATA, VECTOR
from executor.transform.batch import BatchResult, Dead
from executor.transform.content import Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVectors:
    """Stands where an embedder does. ``fingerprint`` is that of the embedding which once made the vectors;
    empty if it is not known."""

    fingerprint: str
    dimension: int

    @property
    def from_documents(self) -> bool:
        return True

    def embed(self, texts: Sequence[str]) -> Embedded:
        raise EmbeddingRefused(f"{len(texts)} texts have no vector: they come with the file")

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """A batch that was shaped at once."""

    batch: BatchResult

    def result(self) -> BatchResult:
        return self.batch


@dataclass(frozen=True, slots=True)
class VectorShape:
    """Records of :mod:`executor.stores.files.vectors` to columns; a vector of another length or with a
    number that is none is a dead letter."""

    dimension: int

    def submit(self, docs: Sequence[bytes]) -> Shaped:
        places: list[int] = []
        rows: list[dict[str, object]] = []
        dead: list[Dead] = []
        for at, data in enumerate(docs):
            row: dict[str, object] = bson.decode(data)
            fault = self._fault(cast(bytes, row[VECTOR]))
            if fault:
                dead.append(Dead(at, "decode", fault))
            else:
                places.append(at)
                rows.append(row)
        return Shaped(
            BatchResult(
                read=len(docs),
                places=places,
                ids=[cast(str, row[ID]) for row in rows],
                texts=[cast(str, row[DOCUMENT] or "") for row in rows],
                metadata=[cast(Metadata, json.loads(cast(str, row[METADATA]))) for row in rows],
                vectors=b"".join([cast(bytes, row[VECTOR]) for row in rows]),
                dead=dead,
            )
        )

    def _fault(self, packed: bytes) -> str:
        if len(packed) != 4 * self.dimension:
            return f"the vector has {len(packed) // 4} dimensions, not {self.dimension}"
        if not all(map(math.isfinite, struct.unpack(f"<{self.dimension}f", packed))):
            return "the vector holds NaN or infinity"
        return ""

    def close(self) -> None:
        """Nothing is open."""
