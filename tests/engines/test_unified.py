"""Unified content: the record in MongoDB and its vector in ChromaDB, written and taken back as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymongo.database import Database

from compiler.model.plan import JsonObject
from executor.contract import StepFailed, StoreRefused
from executor.stores.port import VectorRecords
from tests.engines.contents import records, vectors
from tests.engines.driving import CONTENT, Drive, unified, vectors_only

Documents = Database[dict[str, object]]


def fill(database: Documents, count: int = 250) -> None:
    """Records with a text and a language."""
    database.source.insert_many(
        [{"_id": number, "body": f"text number {number}", "lang": "en"} for number in range(count)]
    )


def test_there_again_and_back(drive: Drive, database: Documents) -> None:
    """Both sides are written, a second run writes and embeds nothing, and both go back to nothing."""
    fill(database)
    first = drive.counts(unified())
    assert (first.written, first.embedded) == (250, 250)
    there = vectors(drive.vectors, "target")
    assert there.keys() == set(database.target.distinct("_id"))
    metadata, document, _ = there["source:int:7"]
    record = database.target.find_one({"_id": "source:int:7"})
    assert record is not None
    assert metadata == {"contentHash": record["contentHash"], "lang": "en"}
    assert document is None
    assert drive.verify(unified(), "counts", "records", "vectors")["compared"] == 250
    run = drive.run_id
    drive.begin()
    second = drive.counts(unified())
    assert (second.unchanged, second.written, second.embedded) == (250, 0, 0)
    assert drive.undo(unified())["deleted"] == 0
    drive.begin(run)
    result = drive.undo(unified())
    assert result["dropped"] == ["m.target", "v.target"]
    assert drive.records.collections() == ["source"]
    assert drive.vectors.collections() == []


def test_only_what_changed_is_embedded(drive: Drive, database: Documents) -> None:
    """A new text is embedded, a new language only changes metadata, and the way back restores both."""
    fill(database)
    drive.run(unified())
    before = records(drive.records, "target"), vectors(drive.vectors, "target")
    database.source.update_one({"_id": 1}, {"$set": {"body": "quite another text"}})
    database.source.update_one({"_id": 2}, {"$set": {"lang": "de"}})
    database.source.update_one({"_id": 3}, {"$unset": {"lang": ""}})
    database.source.insert_one({"_id": "new", "body": "a new one"})
    drive.begin()
    counts = drive.counts(unified())
    assert (counts.written, counts.unchanged, counts.embedded) == (4, 247, 2)
    now = vectors(drive.vectors, "target")
    assert set(now["source:int:3"][0]) == {"contentHash"}, "a key that went away may not stay"
    assert now["source:int:2"][0]["lang"] == "de"
    assert now["source:int:2"][2] == before[1]["source:int:2"][2]
    assert now["source:int:1"][2] != before[1]["source:int:1"][2]
    drive.verify(unified(), "records", "vectors")
    result = drive.undo(unified())
    assert (result["restored"], result["deleted"]) == (6, 2)
    assert (records(drive.records, "target"), vectors(drive.vectors, "target")) == before


def test_documents_are_kept_where_asked_for(drive: Drive, database: Documents) -> None:
    """``storeDocuments`` keeps the text in ChromaDB too; without it a document that was there goes."""
    fill(database, 20)
    drive.run(unified(storeDocuments=True))
    before = vectors(drive.vectors, "target")
    assert before["source:int:7"][1] == "text number 7"
    database.source.update_many({}, {"$set": {"body": "new text"}})
    drive.begin()
    drive.run(unified())
    assert vectors(drive.vectors, "target")["source:int:7"][1] is None
    drive.undo(unified())
    assert vectors(drive.vectors, "target") == before


def test_poison_on_either_side(drive: Drive, database: Documents) -> None:
    """A text that is missing, metadata that ChromaDB would change, a record that MongoDB refuses: dead
    letters, and neither side has anything of them."""
    fill(database, 100)
    database.source.update_one({"_id": 10}, {"$set": {"body": None}})
    database.source.update_one({"_id": 20}, {"$set": {"lang": {"not": "flat"}}})
    database.source.update_one({"_id": 30}, {"$set": {"lang": "xx"}})
    database.create_collection("target", validator={"metadata.lang": {"$ne": "xx"}})
    params = unified(errorThreshold={"count": 3})
    counts = drive.counts(params)
    assert (counts.written, counts.dead) == (97, 3)
    stages = [(letter.key, letter.stage) for letter in drive.dead()]
    assert stages == [
        ('{"$numberInt":"10"}', "transform"),
        ('{"$numberInt":"20"}', "content"),
        ('{"$numberInt":"30"}', "write"),
    ]
    assert database.target.count_documents({}) == drive.vectors.count("target") == 97
    drive.verify(params, "counts", "records", "vectors")


def test_two_records_with_one_id(drive: Drive, database: Documents) -> None:
    """Of two source records with one target id the earlier has it, in every run; the later is dead."""
    fill(database, 300)
    database.source.update_many({}, [{"$set": {"group": {"$mod": ["$_id", 290]}}}])
    transform: JsonObject = {**CONTENT, "content": {"id": "group", "type": "note", "text": "body"}}
    params = unified(transform=transform, errorThreshold={"count": 10})
    counts = drive.counts(params)
    assert (counts.written, counts.dead) == (290, 10)
    assert [letter.position for letter in drive.dead()] == list(range(290, 300))
    assert {letter.reason.split(":")[0] for letter in drive.dead()} == {"duplicate-id"}
    record = database.target.find_one({"_id": "source:int:5"})
    assert record is not None
    assert record["content"] == "text number 5"
    drive.begin()
    again = drive.counts(params)
    assert (again.written, again.unchanged, again.dead, again.embedded) == (0, 290, 10, 0)


def test_changed_since_on_either_side(drive: Drive, database: Documents) -> None:
    """A record that somebody edited stays with its vector; a vector that somebody moved stays too."""
    fill(database, 50)
    drive.run(unified())
    database.target.update_one({"_id": "source:int:5"}, {"$set": {"edited": 1}})
    old = drive.vectors.get("target", ["source:int:9"])
    assert old.vectors is not None
    moved = VectorRecords(ids=old.ids, vectors=-old.vectors, metadatas=old.metadatas, documents=old.documents)
    drive.vectors.replace("target", moved, old)
    result = drive.undo(unified())
    assert result["changedCount"] == 2
    assert result["changedSince"] == ['m.target "source:int:5"', 'v.target "source:int:9"']
    assert database.target.distinct("_id") == ["source:int:5"]
    assert set(vectors(drive.vectors, "target")) == {"source:int:5", "source:int:9"}
    assert result["dropped"] == []


def test_a_lost_vector_is_made_again(drive: Drive, database: Documents) -> None:
    """A record whose vector somebody deleted gets it back from the next run."""
    fill(database, 50)
    drive.run(unified())
    drive.vectors.delete("target", ["source:int:3"])
    with pytest.raises(StepFailed, match=r"no vector in v\.target"):
        drive.verify(unified(), "vectors")
    drive.begin()
    counts = drive.counts(unified())
    assert (counts.written, counts.unchanged, counts.embedded) == (1, 49, 1)
    drive.verify(unified(), "vectors")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"metric": "l2"}, "has the metric 'cosine', the plan wants 'l2'"),
        ({"embedding": {"provider": "python", "function": "f.py:embed", "dimension": 256}}, "has vectors of"),
        (
            {"embedding": {"provider": "source", "field": "v"}, "dimension": 3},
            "has vectors of dimension '256', the plan wants '3'",
        ),
    ],
)
def test_a_collection_of_another_kind_is_refused(
    drive: Drive, database: Documents, tmp_path: Path, wanted: JsonObject, words: str
) -> None:
    """Another metric, dimension or embedding than the collection has is refused before anything is
    written, and both sides are named."""
    (tmp_path / "f.py").write_text("def embed(texts):\n    return [[1.0] * 256 for _ in texts]\n")
    fill(database, 10)
    drive.run(unified())
    before = records(drive.records, "target")
    drive.begin()
    with pytest.raises(StoreRefused, match=words):
        drive.run(unified(**wanted))
    assert records(drive.records, "target") == before


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
def test_vectors_of_the_documents(drive: Drive, database: Documents, metric: str) -> None:
    """Vectors that come with the documents arrive as they are, are compared by their numbers in a second
    run, and go back."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(120, 8)).astype("<f4") * 7
    database.source.insert_many(
        [{"_id": number, "v": row.astype(float).tolist()} for number, row in enumerate(rows)]
    )
    database.source.insert_one({"_id": "nan", "v": [float("nan")] * 8})
    database.source.insert_one({"_id": "short", "v": [1.0]})
    params = vectors_only(
        transform={"content": {"type": "point", "text": "body", "vector": "v"}},
        embedding={"provider": "source", "field": "v"},
        dimension=8,
        metric=metric,
        errorThreshold={"count": 2},
    )
    counts = drive.counts(params)
    assert (counts.written, counts.dead, counts.embedded) == (120, 2, 0)
    found = drive.vectors.get("target", ["source:int:7"])
    assert found.vectors is not None
    np.testing.assert_allclose(found.vectors[0], rows[7], rtol=1e-5)
    drive.verify(params, "counts", "vectors")
    before = vectors(drive.vectors, "target")
    drive.begin()
    database.source.update_one({"_id": 7}, {"$set": {"v": (-rows[7]).astype(float).tolist()}})
    again = drive.counts(params)
    assert (again.written, again.unchanged) == (1, 119)
    assert drive.undo(params)["restored"] == 1
    assert vectors(drive.vectors, "target") == before


def test_a_vector_that_cosine_would_lose(drive: Drive, database: Documents) -> None:
    """A vector whose length overflows when it is squared would come back as NaN: a dead letter instead."""
    database.source.insert_many([{"_id": 1, "v": [1.0, 2.0]}, {"_id": 2, "v": [1e38, 1e38]}])
    params = vectors_only(
        transform={"content": {"type": "point", "vector": "v"}},
        embedding={"provider": "source", "field": "v"},
        dimension=2,
        errorThreshold={"count": 1},
    )
    counts = drive.counts(params)
    assert (counts.written, counts.dead) == (1, 1)
    assert "cannot be normalised" in drive.dead()[0].reason


def test_existing_vectors_are_kept_where_asked_for(drive: Drive, database: Documents) -> None:
    """``existing: keep`` leaves another vector alone; one that was overwritten comes back bit by bit."""
    fill(database, 10)
    drive.run(vectors_only())
    database.source.update_one({"_id": 3}, {"$set": {"body": "new"}})
    before = vectors(drive.vectors, "target")
    drive.begin()
    kept = drive.counts(vectors_only(existing="keep"))
    assert (kept.written, kept.unchanged) == (0, 10)
    assert vectors(drive.vectors, "target") == before
    drive.begin()
    assert drive.counts(vectors_only()).written == 1
    assert vectors(drive.vectors, "target") != before
    drive.undo(vectors_only())
    assert vectors(drive.vectors, "target") == before


def test_an_embedding_that_fails_stops_the_step(drive: Drive, database: Documents, tmp_path: Path) -> None:
    """A provider that breaks fails the step, and what was written before that is taken back."""
    (tmp_path / "f.py").write_text(
        "calls = 0\n"
        "def embed(texts):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    if calls > 2:\n"
        "        raise RuntimeError('out of order')\n"
        "    return [[1.0, float(len(text))] for text in texts]\n"
    )
    fill(database, 300)
    params = unified(
        embedding={"provider": "python", "function": "f.py:embed", "dimension": 2},
        dimension=2,
        maxConcurrency=1,
    )
    with pytest.raises(Exception, match="out of order"):
        drive.run(params)
    assert database.target.count_documents({}) == drive.vectors.count("target") == 200
    drive.undo(params)
    assert drive.records.collections() == ["source"]
    assert drive.vectors.collections() == []
