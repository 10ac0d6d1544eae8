"""A small signature of a vector that survives what a store does to its numbers.

A collection with the cosine metric normalises a vector and multiplies it back, so that the last bits
differ. The sketch is four fixed projections of the unit vector and the vector's length, float32 each; the
four change by about the angle by which a vector turned. The weights of a projection are all different, so
that vectors of few components are told apart too. Where both vectors are at hand they are compared
themselves (:func:`alike`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import xxhash

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from executor.stores.port import Vectors

SKETCH = 20
"""Bytes of a sketch."""
TOLERANCE = 1e-4
_PROJECTIONS = 4
_LAST_BITS = 1e-6
"""Relative; a float32 has 24 bits."""


def sketches(vectors: Vectors) -> list[bytes]:
    """The sketch of each row."""
    if not len(vectors):
        return []
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    units = wide / np.where(lengths > 0, lengths, 1.0)
    table = np.hstack([units @ _weights(vectors.shape[1]), lengths]).astype("<f4")
    return [row.tobytes() for row in table]


def same(one: bytes, other: bytes) -> bool:
    """Whether two sketches are of the same vector, within :data:`TOLERANCE` (of the length: relative)."""
    a = np.frombuffer(one, dtype="<f4").astype(np.float64)
    b = np.frombuffer(other, dtype="<f4").astype(np.float64)
    scale = max(abs(a[-1]), abs(b[-1]), 1e-30)
    turned = np.abs(a[:-1] - b[:-1]).max() <= TOLERANCE * np.sqrt(_PROJECTIONS)
    return bool(turned and abs(a[-1] - b[-1]) <= TOLERANCE * scale)


def alike(one: Vectors, other: Vectors) -> bool:
    """Whether two vectors are one, but for what a store does to their last bits. Shape (dimension,)."""
    scale = max(float(np.abs(one).max(initial=0.0)), float(np.abs(other).max(initial=0.0)), 1e-30)
    return one.shape == other.shape and bool(np.abs(one - other).max(initial=0.0) <= _LAST_BITS * scale)


@cache
def _weights(dimension: int) -> NDArray[np.float64]:
    """Shape (dimension, 4), from -1 to 1. Made of hashes, since sketches are kept and numpy's generators may
    change."""
    bits = [xxhash.xxh3_64_intdigest(row.to_bytes(4, "little")) for row in range(dimension)]
    return np.array([[(bit >> 16 * i & 0xFFFF) / 0x7FFF - 1 for i in range(_PROJECTIONS)] for bit in bits])
