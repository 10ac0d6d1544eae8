"""What a transform does not touch arrives byte for byte."""

from __future__ import annotations

import struct

import bson
import pytest
from bson import SON, Binary, CodecOptions, DatetimeMS, Decimal128, Int64
from hypothesis import given

from executor.transform.codec import decode_all, encode
from executor.transform.rejection import Rejected
from tests.transform.values import DOCUMENTS


def raw_element(kind: int, name: bytes, value: bytes) -> bytes:
    """A document of one element, written by hand."""
    return raw_document(bytes([kind]) + name + b"\0" + value)


def raw_document(elements: bytes) -> bytes:
    """A document of elements."""
    return struct.pack("<i", len(elements) + 5) + elements + b"\0"


@given(DOCUMENTS)
def test_round_trip(document: dict[str, object]) -> None:
    """Any document of any BSON types is the same bytes after decoding and encoding."""
    raw = bson.encode(document)
    [decoded] = decode_all([raw])
    assert isinstance(decoded, dict)
    assert encode(decoded) == raw


@pytest.mark.parametrize(
    "value",
    [
        Int64(1),
        1,
        -0.0,
        float("nan"),
        Decimal128("1.10"),
        Decimal128("-0E+3"),
        DatetimeMS(-1),
        DatetimeMS(-(2**63)),
        Binary(b"\1" * 16, 3),
        Binary(b"\1" * 16, 4),
        Binary(b"old", 2),
        SON([("$id", 1), ("$ref", "c")]),
        SON([("$ref", "c"), ("x", 0), ("$id", 1)]),
        {"a": [{"$ref": "c", "$id": {"$ref": "d", "$id": 1}}]},
    ],
    ids=repr,
)
def test_delicate(value: object) -> None:
    """The values that drivers like to change arrive as they were."""
    raw = bson.encode({"_id": 1, "v": value})
    [decoded] = decode_all([raw])
    assert isinstance(decoded, dict)
    assert encode(decoded) == raw


def test_nan_keeps_its_payload() -> None:
    """A NaN with other bits than Python's own is not made into Python's own."""
    raw = raw_element(1, b"v", bytes.fromhex("010000000000f87f"))
    [decoded] = decode_all([raw])
    assert isinstance(decoded, dict)
    assert encode(decoded) == raw


@pytest.mark.parametrize(
    "raw",
    [
        raw_element(6, b"undefined", b""),
        raw_element(14, b"symbol", struct.pack("<i", 2) + b"s\0"),
        raw_element(12, b"pointer", struct.pack("<i", 2) + b"c\0" + b"\1" * 12),
        raw_document(b"\x10a\0" + struct.pack("<i", 1) + b"\x10a\0" + struct.pack("<i", 2)),
    ],
    ids=["undefined", "symbol", "pointer", "twice"],
)
def test_refuses_what_would_change(raw: bytes) -> None:
    """A deprecated type or a field that is there twice is rejected, since it would arrive changed."""
    [decoded] = decode_all([raw])
    assert isinstance(decoded, Rejected)
    assert "without a change" in decoded.reason


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x05\0\0\0",
        raw_element(2, b"text", struct.pack("<i", 3) + b"\xff\xfe\0"),
        raw_element(2, b"text", struct.pack("<i", 300) + b"a\0"),
        raw_element(99, b"unknown", b""),
        raw_document(b"")[:-1] + b"\1",
    ],
)
def test_broken(raw: bytes) -> None:
    """Broken BSON and text that is not UTF-8 are rejected."""
    [decoded] = decode_all([raw])
    assert isinstance(decoded, Rejected)
    assert "not valid BSON" in decoded.reason


def test_one_broken_among_many() -> None:
    """One document that cannot be read leaves the others of its batch alone."""
    good = bson.encode({"_id": 1})
    decoded = decode_all([good, b"\x05\0\0\0\1", good])
    assert [type(item) for item in decoded] == [dict, Rejected, dict]


@pytest.mark.parametrize("value", [{1, 2}, 2**63, "\ud800", {"a\0b": 1}, {1: 2}, 3 + 4j], ids=repr)
def test_unstorable(value: object) -> None:
    """A value that BSON has no place for is rejected in words."""
    with pytest.raises(Rejected, match="cannot be stored"):
        encode({"_id": 1, "v": value})


def test_too_large() -> None:
    """A document that outgrows MongoDB's limit is rejected before a server sees it."""
    with pytest.raises(Rejected, match="16777216"):
        encode({"_id": 1, "v": "x" * 2**24})


def test_id_first() -> None:
    """The encoded document has its _id first, as the server would put it."""
    raw = encode({"a": 1, "_id": 2})
    assert list(bson.decode(raw, CodecOptions(document_class=SON))) == ["_id", "a"]
