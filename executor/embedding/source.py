"""Vectors that come with the documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.model.plan import JsonObject
from executor.embedding.port import Embedded, EmbeddingRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEmbedder:
    """Stands where an embedder does, for a target whose vectors the transform takes from ``field``
    (see :mod:`executor.transform.vectors`)."""

    field: str
    dimension: int

    @property
    def fingerprint(self) -> str:
        return f"source/{self.field}-{self.dimension}"

    @property
    def from_documents(self) -> bool:
        return True

    def embed(self, texts: Sequence[str]) -> Embedded:
        raise EmbeddingRefused(
            f"{len(texts)} texts have no vector: they come with the documents, in '{self.field}'"
        )

    def close(self) -> None:
        """Nothing is open."""


def open_embedder(spec: JsonObject, base: Path, dimension: int | None) -> SourceEmbedder:  # noqa: ARG001
    """``{provider: source, field: path}``; the dimension is the spec's own or the target's."""
    field, own = spec.get("field"), spec.get("dimension", dimension)
    if not isinstance(own, int):
        raise EmbeddingRefused(
            "vectors from the documents need a dimension", hint="write dimension: … at the chromadb store"
        )
    return SourceEmbedder(field=field if isinstance(field, str) else "vector", dimension=own)
