"""From a transformed document to unified content."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime

import bson
import chromadb
import pytest
from bson import Binary, DatetimeMS, Decimal128, Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from compiler.model.plan import Json
from executor.contract import FordwayError
from executor.transform.content import Provenance, UnifiedRecord, compile_unify, content_hash, typed_key
from executor.transform.rejection import Rejected
from tests.transform.values import SCALARS, TEXT

ORIGIN = Provenance(store="legacy", collection="notes", vectors="content", embedding="static/x", dimension=2)
OID = ObjectId("5f0c1d2e3a4b5c6d7e8f9a0b")
MOMENT = datetime(2020, 1, 2, tzinfo=UTC)


def unified(document: dict[str, object], origin: Provenance = ORIGIN, **content: Json) -> UnifiedRecord:
    """The unified form of a document whose ``_id`` the transform has left alone."""
    return compile_unify(content, origin)(document, document.get("_id"))


def reason(document: dict[str, object], origin: Provenance = ORIGIN, **content: Json) -> str:
    """Why a document has no unified form."""
    with pytest.raises(Rejected) as caught:
        unified(document, origin, **content)
    return caught.value.reason


def test_record() -> None:
    """A record has the source's key, text, hash, time, nested metadata and where its vector is, in order."""
    document = {"_id": OID, "body": "Text", "at": MOMENT, "meta": {"author": "Ann", "x": 1}, "tags": ["a"]}
    result = unified(
        document,
        namespace="n",
        type="note",
        text="body",
        timestamp="at",
        metadata=["meta.author", "tags", "none"],
        vectorMetadata=["meta.author", "tags", "none"],
    )
    digest = content_hash("Text")
    expected = {
        "_id": f"n:oid:{OID}",
        "type": "note",
        "source": {"store": "legacy", "collection": "notes", "key": OID},
        "content": "Text",
        "contentHash": digest,
        "timestamp": MOMENT,
        "metadata": {"meta": {"author": "Ann"}, "tags": ["a"]},
        "vectors": {"collection": "content", "count": 1, "embedding": "static/x"},
    }
    assert list(result.record.items()) == list(expected.items())
    assert result.id == f"n:oid:{OID}"
    assert (result.text, result.vector) == ("Text", None)
    assert result.metadata == {"contentHash": digest, "meta.author": "Ann", "tags": ["a"]}


def test_defaults() -> None:
    """Without options the namespace and the type are the source collection's name."""
    result = unified({"_id": 1, "content": "x"})
    assert (result.id, result.record["type"]) == ("notes:int:1", "notes")
    assert "timestamp" not in result.record


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (OID, f"oid:{OID}"),
        ("a:b", "str:a:b"),
        (5, "int:5"),
        (Int64(5), "int:5"),
        (-5, "int:-5"),
        (5.0, 'json:{"$numberDouble":"5.0"}'),
        (True, "json:true"),
        (Decimal128("5"), 'json:{"$numberDecimal":"5"}'),
        (Binary(uuid.UUID(int=5).bytes, 4), "uuid:00000000-0000-0000-0000-000000000005"),
        (
            Binary(uuid.UUID(int=5).bytes, 3),
            'json:{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAABQ==","subType":"03"}}',
        ),
        (MOMENT, 'json:{"$date":{"$numberLong":"1577923200000"}}'),
        (DatetimeMS(2**60), 'json:{"$date":{"$numberLong":"1152921504606846976"}}'),
        ({"b": 1, "a": "ü"}, 'json:{"b":{"$numberInt":"1"},"a":"ü"}'),
    ],
    ids=repr,
)
def test_typed_key(key: object, text: str) -> None:
    """Each type of key has its own spelling, and integers of both widths, equal as keys, have one."""
    assert typed_key(key) == text


@given(SCALARS, SCALARS)
def test_typed_keys_differ(one: object, two: object) -> None:
    """Two keys have one text only if they are the same value of the same type."""
    if typed_key(one) == typed_key(two):
        assert bson.encode({"k": one}) == bson.encode({"k": two}) or isinstance(one, int)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"content": "x"}, "no '_id'"),
        ({"_id": None, "content": "x"}, "no '_id'"),
        ({"_id": 1}, "'content' is empty"),
        ({"_id": 1, "content": None}, "'content' is empty"),
        ({"_id": 1, "content": " \t\n"}, "'content' is empty"),
        ({"_id": 1, "content": 5}, "'content' is not a text: 5"),
        ({"_id": 1, "content": ["x"]}, "'content' is not a text: a list of 1"),
        ({"_id": 1, "content": "x", "at": "2020"}, "timestamp 'at' is not a date: '2020'"),
    ],
)
def test_rejected(document: dict[str, object], told: str) -> None:
    """A document without an id, a text or a proper date is rejected with the path."""
    assert told in reason(document, timestamp="at")


def test_key_of_its_own() -> None:
    """The id may come from another field; the source's own key is kept beside it."""
    result = unified({"_id": OID, "slug": "hello", "content": "x"}, id="slug")
    assert result.id == "notes:str:hello"
    assert result.record["source"] == {"store": "legacy", "collection": "notes", "key": OID}


def test_null_metadata() -> None:
    """Null stays null in the record, and is left out of ChromaDB's part as missing is."""
    result = unified({"_id": 1, "content": "x", "a": None}, metadata=["a", "b"], vectorMetadata=["a", "b"])
    assert result.record["metadata"] == {"a": None}
    assert list(result.metadata) == ["contentHash"]


@pytest.mark.parametrize(
    "value",
    ["", "text", True, 0, 2**63 - 1, -(2**63), Int64(5), 1.5, ["a", "b"], [1, Int64(2)], [1.5], [False]],
    ids=repr,
)
def test_vector_metadata(value: object) -> None:
    """What ChromaDB keeps as it is passes, as plain Python values."""
    kept = unified({"_id": 1, "content": "x", "a": value}, vectorMetadata=["a"]).metadata["a"]
    assert kept == value
    assert {type(item) for item in (kept if isinstance(kept, list) else [kept])} <= {str, bool, int, float}


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        math.nan,
        math.inf,
        MOMENT,
        OID,
        b"x",
        Decimal128("1"),
        {},
        {"a": 1},
        [1, "a"],
        [1, 1.5],
        [True, 1],
        [None],
        [[1]],
        [math.nan],
        [2**63],
    ],
    ids=repr,
)
def test_unsuitable_vector_metadata(value: object) -> None:
    """What ChromaDB refuses, changes or loses is rejected with its path."""
    assert "vectorMetadata: " in reason({"_id": 1, "content": "x", "m": {"a": value}}, vectorMetadata=["m.a"])
    assert "'m.a'" in reason({"_id": 1, "content": "x", "m": {"a": value}}, vectorMetadata=["m.a"])


def test_empty_list_is_left_out() -> None:
    """An empty list, which ChromaDB refuses, has nothing to filter by and is left out like null."""
    assert "tags" not in unified({"_id": 1, "content": "x", "tags": []}, vectorMetadata=["tags"]).metadata


@pytest.mark.parametrize("path", ["$a", "#a", "chroma:document", "chroma:x", "contentHash"])
def test_names_that_chromadb_cannot_keep(path: str) -> None:
    """A metadata name that ChromaDB refuses or loses is told before any document is read."""
    with pytest.raises(FordwayError, match="ChromaDB cannot keep"):
        compile_unify({"vectorMetadata": [path]}, ORIGIN)


def test_chromadb_keeps_the_metadata(tmp_path: object) -> None:
    """A real ChromaDB gives back exactly the metadata that passed."""
    result = unified(
        {
            "_id": 1,
            "content": "x",
            "s": "é\0",
            "i": -(2**63),
            "f": 5e-324,
            "b": True,
            "l": [1, 2],
            "m": {"x": "y"},
        },
        vectorMetadata=["s", "i", "f", "b", "l", "m.x"],
    )
    client = chromadb.PersistentClient(str(tmp_path))
    collection = client.create_collection("content", embedding_function=None)
    collection.add(ids=[result.id], embeddings=[[1.0, 0.0]], metadatas=[result.metadata])
    found = collection.get(ids=[result.id])["metadatas"]
    assert found == [result.metadata]


@given(TEXT, st.dictionaries(TEXT, SCALARS, max_size=3))
def test_deterministic(text: str, meta: dict[str, object]) -> None:
    """The same document gives the same bytes, whoever makes the record and whenever."""
    document = {"_id": 1, "content": "x" + text, "meta": meta}
    one, two = (unified(dict(document), metadata=["meta"]) for _ in range(2))
    try:
        encoded = bson.encode(one.record)
    except bson.errors.InvalidDocument:  # a name with NUL
        return
    assert encoded == bson.encode(two.record)


def test_vector_from_the_document() -> None:
    """A vector that comes with the document makes its text optional."""
    result = unified({"_id": 1, "vec": [1, 2.5]}, vector="vec")
    assert (result.text, result.vector) == ("", bytes.fromhex("0000803f00002040"))


def test_vector_field_of_the_store() -> None:
    """The field that the store names is used where the transform names none."""
    origin = Provenance(
        store="s", collection="c", vectors="v", embedding="source/x", dimension=1, field="other"
    )
    document: dict[str, object] = {"_id": 1, "vec": [1.0], "other": [2.0]}
    assert unified(document, origin).vector == bytes.fromhex("00000040")
    assert unified(document, origin, vector="vec").vector == bytes.fromhex("0000803f")
