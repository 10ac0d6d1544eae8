"""Commands with raw BSON in and out: what the driver's own cursors and bulk writes would unpack and pack
again document by document.

``RawBatchCursor`` builds an object for each document before it joins them; reading the reply's bytes costs
a third of that. An ``insert`` command without a transaction number costs the server a sixth less than
``insert_many``; a lost answer is met by looking at what is there (see the writers), so that the driver's own
retry is not needed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import chain, count
from typing import TYPE_CHECKING

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

from executor.stores.mongodb.client import told

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

RAW: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_MS
)
COMMAND_BYTES = 16_000_000
"""What a command's documents may have together; the server's limit is 16 MB and 16 KB."""
COMMAND_RECORDS = 50_000

_length = struct.Struct("<i").unpack_from
_cursor_id = struct.Struct("<q").unpack_from
# The header of an array's element number i is a type byte, i in decimal and a zero.
_HEADERS = [len(str(number)) + 2 for number in range(COMMAND_RECORDS)]


def run(
    name: str,
    database: Database[dict[str, object]],
    command: Mapping[str, object],
    session: ClientSession | None = None,
) -> dict[str, object]:
    """Run a command. Raises StoreUnavailable or StoreRefused of the store ``name``."""
    with told(name):
        return database.command(dict(command), session=session)


def cursor_reply(
    name: str,
    database: Database[dict[str, object]],
    command: Mapping[str, object],
    session: ClientSession | None,
) -> tuple[list[bytes], int]:
    """Run a ``find``, ``aggregate`` or ``getMore``: its batch of documents and the cursor's id (0: the
    end)."""
    with told(name):
        reply = database.command(dict(command), session=session, codec_options=RAW)
    return unpack(bytes(reply.raw))


def unpack(reply: bytes) -> tuple[list[bytes], int]:
    """The documents and the cursor id of a cursor's reply.

    >>> import bson
    >>> reply = {"cursor": {"firstBatch": [{"a": 1}], "id": bson.Int64(7), "ns": "a.b"}, "ok": 1.0}
    >>> documents, cursor = unpack(bson.encode(reply))
    >>> bson.decode(documents[0]), cursor
    ({'a': 1}, 7)
    """
    at = _field(reply, 4, b"\x03cursor\0") + 4
    cursor = at
    at = next(
        found
        for key in (b"\x04firstBatch\0", b"\x04nextBatch\0")
        if (found := _field(reply, cursor, key, missing=-1)) >= 0
    )
    end = at + _length(reply, at)[0] - 1
    at += 4
    documents: list[bytes] = []
    add, length = documents.append, _length
    for header in chain(_HEADERS, (len(str(number)) + 2 for number in count(COMMAND_RECORDS))):
        if at >= end:
            break
        at += header
        after = at + length(reply, at)[0]
        add(reply[at:after])
        at = after
    return documents, int(_cursor_id(reply, _field(reply, cursor, b"\x12id\0"))[0])


def _field(data: bytes, at: int, wanted: bytes, missing: int | None = None) -> int:
    """Where the value of a field of the document's body at ``at`` begins. ``wanted`` is its type and name."""
    while data[at] != 0:
        if data.startswith(wanted, at):
            return at + len(wanted)
        kind = data[at]
        at = data.index(0, at) + 1
        if kind in (0x03, 0x04):
            at += _length(data, at)[0]
        elif kind == 0x02:
            at += 4 + _length(data, at)[0]
        elif kind == 0x05:
            at += 5 + _length(data, at)[0]
        else:
            at += {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8}[kind]
    if missing is None:
        raise ValueError(f"the reply has no {wanted!r}")
    return missing


class Sent(RawBSONDocument):
    """Bytes that the driver sends as they are, without the look at them that RawBSONDocument takes: half of
    what it costs to insert a small record."""

    __slots__ = ("raw",)

    raw: bytes

    def __init__(self, document: bytes) -> None:
        self.raw = document


def raw(document: bytes) -> RawBSONDocument:
    """Bytes as a document that the driver sends as they are."""
    return RawBSONDocument(document, RAW)
