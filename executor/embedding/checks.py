"""What is true of every provider's vectors: one a text, of one dimension, finite; none of a blank text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from executor.embedding.port import Embedded, EmbeddingRefused

if TYPE_CHECKING:
    from executor.embedding.port import Vectors

Raw = Callable[[list[str]], tuple[object, Mapping[int, str]]]
"""Texts, none of them blank → their vectors in any form that numpy takes, and the texts without one by
index with the reason (their rows may hold anything)."""


def embed_checked(texts: Sequence[str], dimension: int, raw: Raw, *, provider: str) -> Embedded:
    """Ask ``raw`` for the vectors of all texts that are not blank, and check what it gives.

    A vector with NaN or infinity makes its text unusable. Raises EmbeddingRefused if the answer has
    another count or dimension or is not made of numbers: then nothing in it can be trusted.
    """
    vectors = np.full((len(texts), dimension), np.nan, dtype=np.float32)
    unusable = {at: "the text is empty" for at, text in enumerate(texts) if not text or text.isspace()}
    asked = [at for at in range(len(texts)) if at not in unusable]
    if asked:
        given, reasons = raw([texts[at] for at in asked])
        rows = _matrix(given, len(asked), dimension, provider)
        unusable |= {asked[at]: reason for at, reason in reasons.items()}
        finite = np.isfinite(rows).all(axis=1)
        for at in np.flatnonzero(~finite):
            unusable.setdefault(asked[at], f"{provider} gave a vector that is not finite")
        vectors[asked] = rows
        vectors[list(unusable)] = np.nan
    return Embedded(vectors=vectors, unusable=unusable)


def _matrix(given: object, count: int, dimension: int, provider: str) -> Vectors:
    try:
        if isinstance(given, (list, tuple)) and len(given) != count:
            raise EmbeddingRefused(f"{provider} gave {len(given)} vectors for {count} texts")
        if isinstance(given, (list, tuple)) and any(len(row) != dimension for row in given):
            length = next(len(row) for row in given if len(row) != dimension)
            raise EmbeddingRefused(f"{provider} gave a vector of {length} dimensions instead of {dimension}")
        # Through float64: what float32 cannot hold becomes infinite here and is found afterwards.
        with np.errstate(over="ignore"):
            rows = np.asarray(given, dtype=np.float64).astype(np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise EmbeddingRefused(f"{provider} did not give vectors of numbers: {error}") from error
    if rows.shape != (count, dimension):
        shape = " × ".join(str(size) for size in rows.shape)
        raise EmbeddingRefused(f"{provider} gave an array of {shape} instead of {count} × {dimension}")
    return rows
