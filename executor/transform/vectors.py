"""Vectors that come with the documents, in any of the forms that MongoDB holds them in."""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Callable

from bson import Binary, Int64
from bson.binary import VECTOR_SUBTYPE

from executor.transform.paths import MISSING, Document, getter
from executor.transform.rejection import Rejected, shorten

_NUMBERS = frozenset({float, int, Int64})
# BSON binary subtype 9: one byte element type, one byte padding, the elements.
# https://github.com/mongodb/specifications/blob/master/source/bson-binary-vector/bson-binary-vector.md
_FLOAT32, _INT8 = 0x27, 0x03


def vector_getter(path: str, dimension: int | None) -> Callable[[Document], bytes]:
    """A closure that reads the vector at ``path`` as packed little-endian float32.

    Known forms: a list of numbers, a BSON vector (subtype 9) of float32 or int8, and plain binary data of
    four bytes a dimension, which is taken as packed little-endian float32. Missing, another length than
    ``dimension``, NaN, infinite or too large for float32: Rejected.
    """
    get = getter(path)

    def vector(document: Document) -> bytes:
        value = get(document)
        if value is MISSING or value is None:
            raise Rejected(f"vector: '{path}' is missing")
        elements = _elements(path, value)
        if not elements or (dimension is not None and len(elements) != dimension):
            raise Rejected(f"vector: '{path}' has {len(elements)} dimensions, not {dimension or 'any'}")
        if not all(map(math.isfinite, elements)):
            raise Rejected(f"vector: '{path}' holds a number that float32 cannot hold")
        if sys.byteorder == "big":
            elements.byteswap()
        return elements.tobytes()

    return vector


def _elements(path: str, value: object) -> array[float]:
    elements = array("f")
    if isinstance(value, list):
        if not _NUMBERS.issuperset(map(type, value)):
            raise Rejected(f"vector: '{path}' holds something that is not a number")
        try:
            return array("f", value)
        except OverflowError:
            raise Rejected(f"vector: '{path}' holds a number that float32 cannot hold") from None
    if isinstance(value, Binary) and value.subtype == VECTOR_SUBTYPE and len(value) >= 2:
        if value[0] == _INT8:
            return array("f", struct.unpack(f"{len(value) - 2}b", value[2:]))
        packed = value[2:] if value[0] == _FLOAT32 else b"?"
    elif type(value) is bytes:
        packed = value
    else:
        raise Rejected(f"vector: '{path}' is no vector: {shorten(value)}")
    if len(packed) % 4:
        raise Rejected(f"vector: '{path}' is not made of float32 numbers")
    elements.frombytes(bytes(packed))
    if sys.byteorder == "big":
        elements.byteswap()
    return elements
