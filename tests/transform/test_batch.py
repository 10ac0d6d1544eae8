"""Batches of raw BSON through a recipe."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import bson
import pymongo
import pytest
import xxhash
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from compiler.model.plan import Json, JsonObject
from executor.contract import FordwayError
from executor.transform.batch import BatchResult, Mode, Recipe, compile_batch, key_of
from executor.transform.content import Provenance, content_hash
from tests.transform.values import DOCUMENTS

ORIGIN = Provenance(store="legacy", collection="notes", vectors="content", embedding="static/x", dimension=2)


def transformed(
    documents: list[Mapping[str, object]], *, mode: Mode = Mode.DOCUMENTS, transform: JsonObject | None = None
) -> BatchResult:
    """What becomes of some documents."""
    recipe = Recipe(mode=mode, transform=transform, base=Path(), provenance=ORIGIN)
    return compile_batch(recipe)([bson.encode(document) for document in documents])


def test_columns() -> None:
    """Documents that arrive, that are filtered out and that are dead are told apart, with their places."""
    steps: list[Json] = [{"filter": "n != 2"}, {"cast": {"n": "int"}}]
    result = transformed(
        [{"_id": 1, "n": "1"}, {"_id": 2, "n": 2}, {"_id": 3, "n": "x"}, {"_id": 4, "n": "4"}],
        transform={"steps": steps},
    )
    assert [bson.decode(record) for record in result.records] == [{"_id": 1, "n": 1}, {"_id": 4, "n": 4}]
    assert list(result.places) == [0, 3]
    assert (result.read, result.filtered) == (4, 1)
    assert [tuple(dead) for dead in result.dead] == [(2, "transform", "cast: 'n' cannot become int: 'x'")]
    assert result.hashes == b"".join(xxhash.xxh3_64_digest(record) for record in result.records)
    assert (result.ids, result.texts, result.metadata, result.vectors) == ([], [], [], b"")


@given(st.lists(DOCUMENTS, max_size=5))
def test_nothing_to_do(documents: list[Mapping[str, object]]) -> None:
    """Without a transform every document arrives byte for byte."""
    result = transformed(documents)
    assert list(result.records) == [bson.encode(document) for document in documents]


@given(DOCUMENTS)
def test_key_of(document: Mapping[str, object]) -> None:
    """A record's key is its _id of whatever type, exactly."""
    assert key_of(bson.encode(document)) == bson.encode({"_id": document["_id"]})


def test_keys() -> None:
    """The keys of a result are those of its records."""
    result = transformed([{"_id": ObjectId(b"1" * 12), "a": 1}, {"_id": {"b": 1, "a": 2}}])
    assert [bson.decode(key) for key in result.keys] == [
        {"_id": ObjectId(b"1" * 12)},
        {"_id": {"b": 1, "a": 2}},
    ]


def test_unified() -> None:
    """A unified batch has the records and ChromaDB's columns, side by side."""
    result = transformed(
        [{"_id": 1, "t": "one", "lang": "en"}, {"_id": 2, "t": ""}, {"_id": 3, "t": "three"}],
        mode=Mode.UNIFIED,
        transform={"steps": [], "content": {"text": "t", "vectorMetadata": ["lang"]}},
    )
    assert result.ids == ["notes:int:1", "notes:int:3"]
    assert result.texts == ["one", "three"]
    assert result.metadata == [
        {"contentHash": content_hash("one"), "lang": "en"},
        {"contentHash": content_hash("three")},
    ]
    assert [bson.decode(record)["_id"] for record in result.records] == result.ids
    assert [tuple(dead) for dead in result.dead] == [(1, "content", "content: the text 't' is empty")]


def test_source_key_from_before_the_transform() -> None:
    """The record keeps the key that the source has, even if the transform drops it."""
    transform: JsonObject = {
        "steps": [{"rename": {"_id": "key"}}],
        "content": {"id": "slug", "text": "t"},
    }
    result = transformed([{"_id": 7, "slug": "s", "t": "x"}], mode=Mode.UNIFIED, transform=transform)
    record = bson.decode(result.records[0])
    assert (record["_id"], record["source"]["key"]) == ("notes:str:s", 7)


def test_vectors_mode() -> None:
    """A target of vectors alone gets no records; vectors of the source come packed, row after row."""
    result = transformed(
        [{"_id": 1, "v": [1, 2]}, {"_id": 2, "v": [1]}, {"_id": 3, "v": [3.5, 4]}],
        mode=Mode.VECTORS,
        transform={"content": {"vector": "v"}},
    )
    assert result.vectors == struct.pack("<4f", 1, 2, 3.5, 4)
    assert (result.ids, result.records, result.hashes) == (["notes:int:1", "notes:int:3"], [], b"")
    assert [dead.at for dead in result.dead] == [1]


@pytest.mark.parametrize(
    ("transform", "stage"),
    [
        ({"steps": [{"drop": ["_id"]}]}, "encode"),
        ({"steps": [{"template": {"big": "{{ a }}{{ a }}"}}]}, "encode"),
    ],
)
def test_stages(transform: JsonObject, stage: str) -> None:
    """A document that cannot be stored any more is dead at its encoding."""
    result = transformed([{"_id": 1, "a": "x" * 9_000_000}], transform=transform)
    assert [dead.stage for dead in result.dead] == [stage]


def test_broken_bson_is_one_dead_letter() -> None:
    """Bytes that are no document are one dead letter; the others arrive."""
    batch = compile_batch(Recipe(mode=Mode.DOCUMENTS, transform=None, base=Path()))
    good = bson.encode({"_id": 1})
    result = batch([good, b"\x08\0\0\0junk", good])
    assert list(result.places) == [0, 2]
    assert [(dead.at, dead.stage) for dead in result.dead] == [(1, "decode")]


def test_empty_batch() -> None:
    """A batch of nothing is nothing."""
    assert compile_batch(Recipe(mode=Mode.DOCUMENTS, transform=None, base=Path()))([]) == BatchResult(
        places=[], records=[], ids=[], texts=[], metadata=[], dead=[]
    )


def test_needs_a_provenance() -> None:
    """Vectors that nobody knows the way of are a fault of the caller, told at once."""
    with pytest.raises(FordwayError):
        compile_batch(Recipe(mode=Mode.UNIFIED, transform=None, base=Path()))


def test_a_server_keeps_the_bytes(mongod: str) -> None:
    """What a real server gives back of the encoded records are the same bytes, so that hashes hold."""
    transform: JsonObject = {
        "steps": [
            {"rename": {"a": "z.y"}},
            {"cast": {"n": "decimal", "d": "datetime"}},
            {"default": {"q": {}}},
        ]
    }
    documents = [{"_id": key, "a": 1, "n": "1.50", "d": -5} for key in (1, "1", 1.5, ObjectId(), {"k": 1})]
    result = transformed(list(documents), transform=transform)
    with pymongo.MongoClient(mongod, document_class=RawBSONDocument) as client:
        collection = client["transform_batch"]["kept"]
        collection.drop()
        collection.insert_many([RawBSONDocument(record) for record in result.records])
        assert sorted(found.raw for found in collection.find()) == sorted(result.records)
        client.drop_database("transform_batch")
