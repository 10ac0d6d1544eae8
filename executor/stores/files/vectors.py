"""Records of a vector collection as lines of JSON.

A line is ``{"id": …, "vector": …, "metadata": {…}, "document": …}``; what a record does not have is left
out. A vector is written as base64 of little-endian float32, so that its numbers come back as the bits
that they were; a list of numbers is read too.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Sequence

from executor.stores.port import VectorRecords

ID, VECTOR, METADATA, DOCUMENT = "_id", "vector", "metadata", "document"
"""The fields of such a record as BSON. The vector is packed little-endian float32, the metadata is JSON: it
tells 1 from 1.0 and has one kind of whole numbers, as ChromaDB does."""

_FIELDS = {"id", "vector", "metadata", "document"}


def lines_of(records: VectorRecords) -> bytes:
    """One line a record, by sorted id, whatever order they come in."""
    vectors = None if records.vectors is None else records.vectors.astype("<f4", copy=False)
    lines: list[str] = []
    for index, record_id in sorted(enumerate(records.ids), key=lambda pair: pair[1]):
        line: dict[str, object] = {"id": record_id}
        if vectors is not None:
            line["vector"] = base64.b64encode(vectors[index].tobytes()).decode("ascii")
        if records.metadatas and records.metadatas[index] is not None:
            line["metadata"] = records.metadatas[index]
        if records.documents is not None and records.documents[index] is not None:
            line["document"] = records.documents[index]
        lines.append(json.dumps(line, separators=(",", ":")) + "\n")
    return "".join(lines).encode("ascii")


def record_of_line(line: bytes) -> bytes:
    """A line as BSON. Raises ValueError, which says what is wrong with it."""
    import bson
    from bson.errors import BSONError

    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON ({error})") from None
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise ValueError("it needs an 'id', which is a text")
    unknown = sorted(set(value) - _FIELDS)
    if unknown:
        raise ValueError(f"it has the field '{unknown[0]}', which is none of {', '.join(sorted(_FIELDS))}")
    metadata, document = value.get("metadata"), value.get("document")
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError("its 'metadata' is no mapping")
    if document is not None and not isinstance(document, str):
        raise ValueError("its 'document' is no text")
    record = {
        ID: value["id"],
        VECTOR: _packed(value.get("vector")),
        METADATA: json.dumps(metadata or {}),
        DOCUMENT: document,
    }
    try:
        return bson.encode(record)
    except (BSONError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"it is no record that can be kept ({error})") from None


def _packed(vector: object) -> bytes:
    if isinstance(vector, str):
        try:
            packed = base64.b64decode(vector, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("its 'vector' is no base64") from None
        if len(packed) % 4:
            raise ValueError("its 'vector' is not made of float32 numbers")
        return packed
    if isinstance(vector, list):
        return _packed_list(vector)
    raise ValueError("its 'vector' is neither base64 nor a list of numbers")


def _packed_list(numbers: Sequence[object]) -> bytes:
    if not all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in numbers):
        raise ValueError("its 'vector' holds something that is not a number")
    try:
        return struct.pack(f"<{len(numbers)}f", *numbers)
    except (struct.error, OverflowError):
        raise ValueError("its 'vector' holds a number that float32 cannot hold") from None
