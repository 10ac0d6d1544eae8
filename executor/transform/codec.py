"""BSON to Python values and back, so that what a transform does not touch arrives byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

import bson
from bson import CodecOptions
from bson.codec_options import DatetimeConversion
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument

from executor.transform.paths import Document
from executor.transform.rejection import Rejected, one_line

LARGEST = 16 * 1024 * 1024
"""Bytes of the largest document that MongoDB takes."""

# Dates that Python cannot hold stay as milliseconds; UUIDs stay the binary data they are, whatever
# byte order a driver once gave them.
OPTIONS: CodecOptions[Document] = CodecOptions(
    document_class=dict, tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
LAZY: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument, tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_REFERENCE = b"\x02$ref\0"  # a text field "$ref": the driver makes a DBRef of its document
_BROKEN = (InvalidBSON, ValueError, OverflowError)  # ValueError: text that is not UTF-8


def decode_all(raws: Sequence[bytes]) -> list[Document | Rejected]:
    """Each document's values, which encode to the same bytes again, or why it has none.

    Rejected are broken BSON, text that is not UTF-8, and what Python's codec would change in silence:
    deprecated types (symbol, undefined, pointer), a field that is there twice.
    """
    blob = b"".join(raws)
    try:
        # One call for all: a quarter faster. It would make DBRefs of what looks like one.
        documents = None if _REFERENCE in blob else bson.decode_all(blob, OPTIONS)
    except _BROKEN:
        documents = None
    if documents is None or not _same(documents, raws):
        return [_decode(raw) for raw in raws]
    return list(documents)


def _same(documents: Sequence[Document], raws: Sequence[bytes]) -> bool:
    """Whether the documents encode to the bytes that they came from: as one array, since one call for
    all costs a third less than a call for each."""
    elements = [part for at, raw in enumerate(raws) for part in (b"\x03%d\0" % at, raw)]
    array = b"".join(elements)
    # A document with one nameless field, the array (type 4); a length counts itself and the last byte.
    whole = b"".join(
        (
            (len(array) + 12).to_bytes(4, "little"),
            b"\x04\0",
            (len(array) + 5).to_bytes(4, "little"),
            array,
            b"\0\0",
        )
    )
    return bson.encode({"": documents}, codec_options=OPTIONS) == whole


def _decode(raw: bytes) -> Document | Rejected:
    try:
        if _REFERENCE in raw:
            document = {key: _unwrapped(value) for key, value in RawBSONDocument(raw, LAZY).items()}
        else:
            document = bson.decode(raw, OPTIONS)
    except _BROKEN as error:
        return Rejected(f"the document is not valid BSON: {one_line(error)}")
    return _checked(document, raw)


def _unwrapped(value: object) -> object:
    if isinstance(value, RawBSONDocument):
        return {key: _unwrapped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unwrapped(inner) for inner in value]
    return value


def _checked(document: Document, raw: bytes) -> Document | Rejected:
    if bson.encode(document, codec_options=OPTIONS) == raw:
        return document
    return Rejected(
        "the document holds what cannot be transformed without a change: a deprecated BSON type"
        " (symbol, undefined, pointer) or a field twice"
    )


def encode(document: Document) -> bytes:
    """The document as BSON, ``_id`` first. Raises Rejected: a value that BSON has no type for, more
    than 16 MB."""
    try:
        raw = bson.encode(document, codec_options=OPTIONS)
    except MemoryError:
        raise
    except Exception as error:  # InvalidDocument, and whatever a value of a strange class does
        raise Rejected(f"the document cannot be stored: {one_line(error)}") from error
    if len(raw) > LARGEST:
        raise Rejected(f"the document has {len(raw)} bytes, more than the {LARGEST} that MongoDB takes")
    return raw
