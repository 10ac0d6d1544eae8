"""Vectors that come with the documents."""

from __future__ import annotations

import math
import struct

import pytest
from bson import Binary, Decimal128, Int64
from bson.binary import BinaryVectorDtype

from executor.transform.rejection import Rejected
from executor.transform.vectors import vector_getter


@pytest.mark.parametrize(
    "value",
    [
        [1.0, 2.0, -3.0],
        [1, Int64(2), -3.0],
        Binary.from_vector([1.0, 2.0, -3.0], BinaryVectorDtype.FLOAT32),
        Binary.from_vector([1, 2, -3], BinaryVectorDtype.INT8),
        struct.pack("<3f", 1.0, 2.0, -3.0),
    ],
    ids=["floats", "numbers", "float32", "int8", "packed"],
)
def test_forms(value: object) -> None:
    """Every form in which MongoDB holds vectors is read as the same float32 bytes."""
    assert vector_getter("a.v", 3)({"a": {"v": value}}) == struct.pack("<3f", 1.0, 2.0, -3.0)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "missing"),
        ([], "0 dimensions, not 3"),
        ([1.0, 2.0], "2 dimensions, not 3"),
        ([1.0, 2.0, math.nan], "float32"),
        ([1.0, 2.0, -math.inf], "float32"),
        ([1.0, 2.0, 1e39], "float32"),
        ([1.0, 2.0, 10**400], "float32"),
        ([1.0, 2.0, "3"], "not a number"),
        ([1.0, 2.0, True], "not a number"),
        ([1.0, 2.0, None], "not a number"),
        ([1.0, 2.0, Decimal128("3")], "not a number"),
        ("1,2,3", "no vector"),
        ({"0": 1.0}, "no vector"),
        (b"12345", "not made of float32"),
        (struct.pack("<4f", 1, 2, 3, 4), "4 dimensions, not 3"),
        (struct.pack("<3f", 1, 2, math.nan), "float32"),
        (Binary.from_vector([0, 1], BinaryVectorDtype.PACKED_BIT), "not made of float32"),
        (Binary(b"\1" * 12, 5), "no vector"),
        (Binary(b"\x27", 9), "no vector"),
    ],
    ids=repr,
)
def test_rejected(value: object, told: str) -> None:
    """What is no finite vector of the right length is rejected with its path."""
    with pytest.raises(Rejected, match=told) as caught:
        vector_getter("v", 3)({"v": value})
    assert "'v'" in caught.value.reason
