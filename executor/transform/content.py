"""From a transformed document to unified content: the record, its text, its vector's metadata.

Everything here is a function of the document and the plan; no clock, no run id. The same source gives
the same bytes, so that a second apply finds nothing to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import xxhash
from bson import Binary, DatetimeMS, Int64, ObjectId
from bson.binary import UUID_SUBTYPE
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

from compiler.model.plan import JsonObject
from executor.contract import FordwayError
from executor.transform.paths import MISSING, Document, getter, setter
from executor.transform.rejection import Rejected, shorten
from executor.transform.vectors import vector_getter

Scalar = str | int | float | bool
MetadataValue = Scalar | list[str] | list[int] | list[float] | list[bool]
Metadata = dict[str, MetadataValue]
"""What ChromaDB keeps beside a vector without changing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a unified record says of its origin and of its vector.

    ``store`` and ``collection`` name the source, ``vectors`` the ChromaDB collection, ``embedding`` is
    the embedder's fingerprint and ``dimension`` its vectors' length (None: not known). ``field``: the
    path of the vector in the document where the provider is ``source`` and the Transform names none.
    """

    store: str
    collection: str
    vectors: str
    embedding: str
    dimension: int | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnifiedRecord:
    """One document's part of each target.

    ``id`` is the record's ``_id`` in MongoDB and the id in ChromaDB. ``vector`` is packed little-endian
    float32, None where the text is to be embedded. ``metadata`` is what ChromaDB gets.
    """

    id: str
    record: Document
    text: str
    vector: bytes | None
    metadata: Metadata


Unify = Callable[[Document, object], UnifiedRecord]
"""Called with the transformed document and the source's own ``_id``. Raises Rejected."""


def typed_key(key: object) -> str:
    """The text form of a source key, with its type, so that no two keys of a collection share one.

    >>> typed_key(7), typed_key("7"), typed_key(True)
    ('int:7', 'str:7', 'json:true')
    """
    kind = type(key)
    if kind is ObjectId:
        return f"oid:{key}"
    if kind is str:
        return f"str:{key}"
    if kind is int or kind is Int64:  # equal as keys of a MongoDB collection, so equal here
        return f"int:{key:d}"
    if isinstance(key, Binary) and key.subtype == UUID_SUBTYPE and len(key) == 16:
        return f"uuid:{key.as_uuid()}"
    text = dumps(key, json_options=CANONICAL_JSON_OPTIONS, separators=(",", ":"), ensure_ascii=False)
    return f"json:{text}"


def content_hash(text: str) -> str:
    """XXH3-128 of the text's UTF-8 form.

    >>> content_hash("")
    'xxh3:99aa06d3014798d86001c324468d497f'
    """
    return "xxh3:" + xxhash.xxh3_128_hexdigest(text.encode("utf-8"))


def compile_unify(content: JsonObject, provenance: Provenance) -> Unify:
    """Compile the ``content`` part of a Transform document, which its JSON Schema has accepted.

    The defaults: ``id: _id``, ``text: content``, ``namespace`` and ``type`` the source collection's name.
    A text is required and not blank, unless the vector comes with the document.
    """
    namespace = _option(content, "namespace") or provenance.collection
    kind = _option(content, "type") or namespace
    id_path = _option(content, "id") or "_id"
    get_id = getter(id_path)
    vector_path = _option(content, "vector") or provenance.field
    get_text = _text_getter(_option(content, "text") or "content", required=vector_path is None)
    get_vector = vector_getter(vector_path, provenance.dimension) if vector_path else None
    get_timestamp = _timestamp_getter(_option(content, "timestamp"))
    get_metadata = _nested_metadata(_paths(content, "metadata"))
    get_flat = _flat_metadata(_paths(content, "vectorMetadata"))

    def unify(document: Document, key: object) -> UnifiedRecord:
        own = get_id(document)
        if own is MISSING or own is None:
            raise Rejected(f"content: there is no '{id_path}' to make an id of")
        text = get_text(document)
        record_id = f"{namespace}:{typed_key(own)}"
        digest = content_hash(text)
        record: Document = {
            "_id": record_id,
            "type": kind,
            "source": {"store": provenance.store, "collection": provenance.collection, "key": key},
            "content": text,
            "contentHash": digest,
        }
        timestamp = get_timestamp(document)
        if timestamp is not None:
            record["timestamp"] = timestamp
        record["metadata"] = get_metadata(document)
        record["vectors"] = {
            "collection": provenance.vectors,
            "count": 1,
            "embedding": provenance.embedding,
        }
        flat: Metadata = {"contentHash": digest}
        get_flat(document, flat)
        vector = get_vector(document) if get_vector else None
        return UnifiedRecord(id=record_id, record=record, text=text, vector=vector, metadata=flat)

    return unify


def _option(content: JsonObject, name: str) -> str | None:
    value = content.get(name)
    if value is not None and not isinstance(value, str):
        raise FordwayError(f"transform content: '{name}' is not a text")
    return value


def _paths(content: JsonObject, name: str) -> list[str]:
    value = content.get(name) or []
    if not isinstance(value, (list, tuple)):
        raise FordwayError(f"transform content: '{name}' is not a list of paths")
    return [str(path) for path in value]


def _text_getter(path: str, *, required: bool) -> Callable[[Document], str]:
    get = getter(path)

    def text(document: Document) -> str:
        value = get(document)
        if value is MISSING or value is None:
            value = ""
        if not isinstance(value, str):
            raise Rejected(f"content: the text '{path}' is not a text: {shorten(value)}")
        if required and not value.strip():
            raise Rejected(f"content: the text '{path}' is empty")
        return str(value)

    return text


def _timestamp_getter(path: str | None) -> Callable[[Document], object]:
    if path is None:
        return lambda _: None
    get = getter(path)

    def timestamp(document: Document) -> object:
        value = get(document)
        if value is MISSING or value is None:
            return None
        if not isinstance(value, (datetime, DatetimeMS)):
            raise Rejected(f"content: the timestamp '{path}' is not a date: {shorten(value)}; cast it")
        return value

    return timestamp


def _nested_metadata(paths: list[str]) -> Callable[[Document], Document]:
    pairs = [(getter(path), setter(path)) for path in paths]

    def metadata(document: Document) -> Document:
        kept: Document = {}
        for get, put in pairs:
            value = get(document)
            if value is not MISSING:
                put(kept, value)
        return kept

    return metadata


def _flat_metadata(paths: list[str]) -> Callable[[Document, Metadata], None]:
    for path in paths:
        # What ChromaDB 1.5.9 refuses or, worse, takes and loses.
        if path == "contentHash" or path.startswith(("$", "#", "chroma:")):
            raise FordwayError(f"transform content: ChromaDB cannot keep metadata under the name '{path}'")
    pairs = [(path, getter(path)) for path in paths]

    def metadata(document: Document, flat: Metadata) -> None:
        for path, get in pairs:
            value = get(document)
            if value is MISSING or value is None or value == []:
                continue
            flat[path] = _scalars(path, value) if isinstance(value, list) else _scalar(path, value)

    return metadata


def _scalars(path: str, values: list[object]) -> MetadataValue:
    scalars = [_scalar(path, value) for value in values]
    if len({type(scalar) for scalar in scalars}) > 1:
        raise Rejected(f"vectorMetadata: '{path}' holds values of several types")
    return cast(MetadataValue, scalars)


def _scalar(path: str, value: object) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return int(value)
        raise Rejected(f"vectorMetadata: '{path}' is beyond 64 bits: {shorten(value)}")
    if isinstance(value, float):
        if math.isfinite(value):
            return value + 0.0  # -0.0 becomes 0.0, which is what ChromaDB keeps
        raise Rejected(f"vectorMetadata: '{path}' is not a finite number")
    kind = type(value).__name__
    raise Rejected(f"vectorMetadata: ChromaDB cannot keep '{path}', a {kind}; cast it or leave it out")
