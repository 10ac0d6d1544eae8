"""The top level of a BSON document, by its bytes (bsonspec.org, version 1.1).

Decoding and encoding again may change a record (an old binary subtype, a date after the year 9999, a
duplicate field); moving bytes does not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_INT = struct.Struct("<i")
_FIXED = {
    0x01: 8,  # double
    0x06: 0,  # undefined
    0x07: 12,  # ObjectId
    0x08: 1,  # boolean
    0x09: 8,  # date
    0x0A: 0,  # null
    0x10: 4,  # int32
    0x11: 8,  # timestamp
    0x12: 8,  # int64
    0x13: 16,  # decimal128
    0x7F: 0,  # MaxKey
    0xFF: 0,  # MinKey
}
# What must be added to the length that stands first in the value.
_MEASURED = {
    0x02: 4,  # string
    0x03: 0,  # document
    0x04: 0,  # array
    0x05: 5,  # binary
    0x0C: 16,  # DBPointer
    0x0D: 4,  # code
    0x0E: 4,  # symbol
    0x0F: 0,  # code with scope
}
_ID = b"_id"


def elements(record: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end (within ``record``) of each element. Raises ValueError if there is no end to it."""
    at, end = 4, len(record) - 1
    while at < end:
        start = at
        kind = record[at]
        name_end = record.index(b"\0", at + 1)
        name = record[at + 1 : name_end]
        at = name_end + 1
        if kind in _FIXED:
            at += _FIXED[kind]
        elif kind in _MEASURED:
            if at + 4 > end:
                raise ValueError("an element ends too early")
            length = _INT.unpack_from(record, at)[0]
            if length < 0:
                raise ValueError("an element has a negative length")
            at += length + _MEASURED[kind]
        elif kind == 0x0B:  # regular expression: two strings that end with a zero
            at = record.index(b"\0", record.index(b"\0", at) + 1) + 1
        else:
            raise ValueError(f"0x{kind:02x} is no BSON type")
        if at > end:
            raise ValueError("an element ends too late")
        yield name, start, at


def with_id_first(record: bytes) -> bytes | None:
    """The record with its ``_id`` as the first field, as the server would put it; None if it has none."""
    if record[5:9] == b"_id\0":
        return record
    for name, start, end in elements(record):
        if name == _ID:
            return record[:4] + record[start:end] + record[4:start] + record[end:]
    return None


def with_object_id(record: bytes, value: bytes) -> bytes:
    """The record with an ObjectId of 12 bytes put before its fields as ``_id``."""
    return _INT.pack(len(record) + 17) + b"\x07_id\0" + value + record[4:]
