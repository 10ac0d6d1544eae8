"""Keys of records, cut out of the bytes: exact for every BSON type, no value is decoded.

A key is the document ``{"_id": …}``; its bytes are those of the record's first element with a frame
around it. Layout: https://bsonspec.org/spec.html
"""

from __future__ import annotations

import math
import struct
from collections.abc import Hashable, Iterator, Sequence
from decimal import Decimal

_LENGTH = struct.Struct("<i")
_AT = 9  # the value begins after the length (4), the type (1) and "_id\0" (4)
_SIZES = {
    0x01: 8,  # double
    0x06: 0,  # undefined
    0x07: 12,  # ObjectId
    0x08: 1,  # bool
    0x09: 8,  # date
    0x0A: 0,  # null
    0x10: 4,  # int32
    0x11: 8,  # timestamp
    0x12: 8,  # int64
    0x13: 16,  # Decimal128
    0xFF: 0,  # MinKey
    0x7F: 0,  # MaxKey
}
_NUMBERS = frozenset({0x01, 0x10, 0x12, 0x13})
_DOCUMENT, _STRING, _SYMBOL, _CODE, _SCOPED, _BINARY, _POINTER, _REGEX, _ARRAY = (
    0x03,
    0x02,
    0x0E,
    0x0D,
    0x0F,
    0x05,
    0x0C,
    0x0B,
    0x04,
)


def key_of(record: bytes) -> bytes:
    """The key of a record. Raises ValueError if ``_id`` is not its first field."""
    if record[5:_AT] != b"_id\0":
        raise ValueError("the record's first field is not '_id'")
    end = _AT + _value_size(record, record[4], _AT)
    body = record[4:end]
    return _LENGTH.pack(len(body) + 5) + body + b"\0"


def _value_size(data: bytes, kind: int, at: int) -> int:
    size = _SIZES.get(kind)
    if size is not None:
        return size
    if kind in (_DOCUMENT, _ARRAY, _SCOPED):
        return int(_LENGTH.unpack_from(data, at)[0])
    if kind in (_STRING, _SYMBOL, _CODE):
        return 4 + int(_LENGTH.unpack_from(data, at)[0])
    if kind == _BINARY:
        return 5 + int(_LENGTH.unpack_from(data, at)[0])
    if kind == _POINTER:
        return 16 + int(_LENGTH.unpack_from(data, at)[0])
    if kind == _REGEX:
        middle = data.index(0, at) + 1
        return data.index(0, middle) + 1 - at
    raise ValueError(f"unknown BSON type {kind:#x}")


def fields(record: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The type, name and value (its bytes) of each of a document's own fields."""
    at, end = 4, len(record) - 1
    while at < end:
        kind = record[at]
        value = record.index(0, at) + 1
        after = value + _value_size(record, kind, value)
        yield kind, record[at + 1 : value - 1], record[value:after]
        at = after


def identity(key: bytes) -> Hashable:
    """What two keys have in common if MongoDB takes them for the same ``_id`` (simple collation): numbers
    by value whatever their type, symbols as strings; all else by its bytes.

    >>> import bson
    >>> identity(bson.encode({"_id": 1})) == identity(bson.encode({"_id": 1.0}))
    True
    >>> identity(bson.encode({"_id": True})) == identity(bson.encode({"_id": 1}))
    False
    """
    kind = key[4]
    if kind in _NUMBERS:
        return ("number", _number(key, kind))
    if kind == _SYMBOL:
        return bytes((_STRING,)) + key[5:]
    if kind == _DOCUMENT and not _NUMBERS.isdisjoint(key):
        return _parts(key, _AT, 0)[0]
    return key[4:-1]


def _number(data: bytes, kind: int, at: int = _AT) -> Hashable:
    """Equal and equally hashed for equal numbers: Python compares int, float and Decimal exactly."""
    if kind == 0x01:
        value = struct.unpack_from("<d", data, at)[0]
        return "nan" if math.isnan(value) else float(value)
    if kind == 0x13:
        from bson.decimal128 import Decimal128

        decimal: Decimal = Decimal128.from_bid(data[at : at + 16]).to_decimal()
        return "nan" if decimal.is_nan() else decimal
    return int(struct.unpack_from("<i" if kind == 0x10 else "<q", data, at)[0])


def _parts(data: bytes, at: int, depth: int) -> tuple[Hashable, int]:
    """A document as a tuple of (name, type class, identity), and the byte after it."""
    if depth > 200:  # MongoDB's own limit is 100
        raise ValueError("the key is nested too deeply")
    end = at + int(_LENGTH.unpack_from(data, at)[0])
    found: list[Hashable] = []
    at += 4
    while at < end - 1:
        kind = data[at]
        after = data.index(0, at) + 1
        name = data[at + 1 : after]
        if kind in _NUMBERS:
            found.append((name, "number", _number(data, kind, after)))
        elif kind in (_DOCUMENT, _ARRAY):
            found.append((name, kind, _parts(data, after, depth + 1)[0]))
        else:
            size = _value_size(data, kind, after)
            found.append((name, _STRING if kind == _SYMBOL else kind, data[after : after + size]))
        at = after + _value_size(data, kind, after)
    return tuple(found), end


def array_of_values(keys: Sequence[bytes]) -> bytes:
    """The values of keys as a BSON array (its bytes), for ``$in``."""
    body = b"".join(b"%c%d\0%b" % (key[4], index, key[_AT:-1]) for index, key in enumerate(keys))
    return _LENGTH.pack(len(body) + 5) + body + b"\0"


def in_keys(keys: Sequence[bytes]) -> bytes:
    """The filter ``{"_id": {"$in": […]}}`` as BSON."""
    array = array_of_values(keys)
    inner = _LENGTH.pack(len(array) + 10) + b"\x04$in\0" + array + b"\0"
    return _LENGTH.pack(len(inner) + 10) + b"\x03_id\0" + inner + b"\0"
