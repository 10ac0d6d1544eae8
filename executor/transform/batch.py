"""A batch of raw BSON through a compiled transform: bytes in, columns out, no store in sight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import bson
import xxhash
from bson.raw_bson import RawBSONDocument

from compiler.model.plan import JsonObject
from executor.contract import FordwayError
from executor.transform.closure import Transform, compile_transform
from executor.transform.codec import LAZY, decode_all, encode
from executor.transform.content import Metadata, Provenance, UnifiedRecord, Unify, compile_unify
from executor.transform.paths import Document
from executor.transform.rejection import Rejected

# Documents that are Python values at a time: as many as the processor's cache holds.
_AT_ONCE = 100


class Mode(StrEnum):
    """What a batch becomes: documents as the transform leaves them, unified records with vectors, or
    the vectors alone."""

    DOCUMENTS = "documents"
    UNIFIED = "unified"
    VECTORS = "vectors"


class Dead(NamedTuple):
    """A document of the batch that cannot be moved: its place in the batch (from 0), where it failed
    (``decode``, ``transform``, ``content`` or ``encode``), and why."""

    at: int
    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that a process needs to transform batches; small, picklable, without code.

    ``transform`` is a Transform document or None (documents stay as they are). ``provenance`` is
    needed for all modes but ``documents``.
    """

    mode: Mode
    transform: JsonObject | None
    base: Path
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of a batch. All columns have one entry for each document that arrives, in the order
    of the batch; ``places`` says which of the batch it was (from 0).

    ``records``: the target documents as raw BSON. ``hashes``: XXH3-64 of each record, 8 bytes big-endian
    each, one after the other. ``ids``, ``texts`` and ``metadata`` are ChromaDB's; ``vectors`` are packed
    little-endian float32, row after row, and empty unless they come with the documents.

    Empty in mode ``documents``: ids, texts, metadata, vectors; in mode ``vectors``: records, hashes.
    Always ``read == len(places) + filtered + len(dead)``.
    """

    read: int = 0
    places: Sequence[int] = ()
    records: Sequence[bytes] = ()
    hashes: bytes = b""
    ids: Sequence[str] = ()
    texts: Sequence[str] = ()
    metadata: Sequence[Metadata] = ()
    vectors: bytes = b""
    filtered: int = 0
    dead: Sequence[Dead] = ()

    @property
    def keys(self) -> list[bytes]:
        """Each record's ``{"_id": id}`` as a BSON document. Made when asked for: a fresh target needs
        none."""
        return [key_of(record) for record in self.records]


def key_of(record: bytes) -> bytes:
    """``{"_id": id}``, as BSON, of a raw document with ``_id`` as its first field."""
    return bson.encode({"_id": RawBSONDocument(record, LAZY)["_id"]}, codec_options=LAZY)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledBatch:
    """A recipe, compiled. May be called from several threads, with a Python step that may be, too."""

    mode: Mode
    transform: Transform
    unify: Unify | None

    def __call__(self, docs: Sequence[bytes]) -> BatchResult:
        """Transform a batch of raw BSON documents. Rejects documents one by one; raises nothing of its
        own."""
        columns = _Columns()
        for start in range(0, len(docs), _AT_ONCE):
            self._transform(start, docs[start : start + _AT_ONCE], columns)
        return columns.result(len(docs))

    def _transform(self, start: int, docs: Sequence[bytes], columns: _Columns) -> None:
        for at, decoded in enumerate(decode_all(docs), start):
            if isinstance(decoded, Rejected):
                columns.dead.append(Dead(at, "decode", decoded.reason))
                continue
            stage = "transform"
            try:
                key = decoded.get("_id")
                document = self.transform(decoded)
                if document is None:
                    columns.filtered += 1
                    continue
                if self.unify is None:
                    stage = "encode"
                    columns.add_document(document)
                else:
                    stage = "content"
                    unified = self.unify(document, key)
                    stage = "encode"
                    columns.add_unified(unified, whole=self.mode is Mode.UNIFIED)
                columns.places.append(at)
            except Rejected as rejected:
                columns.dead.append(Dead(at, stage, rejected.reason))


class _Columns:
    """A batch's result while it grows. ``add_…`` raises Rejected before it adds anything."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self.dead: list[Dead] = []
        self.filtered = 0
        self._records: list[bytes] = []
        self._hashes: list[bytes] = []
        self._unified: list[UnifiedRecord] = []

    def add_document(self, document: Document) -> None:
        if "_id" not in document:
            # The driver would make one up, and the next run another.
            raise Rejected("the document has no '_id' any more")
        self._add_record(encode(document))

    def add_unified(self, unified: UnifiedRecord, *, whole: bool) -> None:
        if whole:
            self._add_record(encode(unified.record))
        self._unified.append(unified)

    def _add_record(self, raw: bytes) -> None:
        self._records.append(raw)
        self._hashes.append(xxhash.xxh3_64_digest(raw))

    def result(self, read: int) -> BatchResult:
        return BatchResult(
            read=read,
            places=self.places,
            records=self._records,
            hashes=b"".join(self._hashes),
            ids=[unified.id for unified in self._unified],
            texts=[unified.text for unified in self._unified],
            metadata=[unified.metadata for unified in self._unified],
            vectors=b"".join([unified.vector for unified in self._unified if unified.vector]),
            filtered=self.filtered,
            dead=self.dead,
        )


def compile_batch(recipe: Recipe) -> CompiledBatch:
    """Compile a recipe. Raises FordwayError for one that cannot be: a template that does not parse, a
    function that is not there."""
    spec = recipe.transform or {}
    transform = compile_transform(spec, base=recipe.base)
    if recipe.mode is Mode.DOCUMENTS:
        return CompiledBatch(mode=recipe.mode, transform=transform, unify=None)
    if recipe.provenance is None:
        raise FordwayError(f"a batch of mode '{recipe.mode}' must know where its vectors go")
    content = spec.get("content") or {}
    if not isinstance(content, Mapping):
        raise FordwayError("transform content: a mapping was expected")
    unify = compile_unify(content, recipe.provenance)
    return CompiledBatch(mode=recipe.mode, transform=transform, unify=unify)
