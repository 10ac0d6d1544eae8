"""Collections and indexes: created once, refused where they differ, dropped where they were ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pymongo
import pytest

from compiler.model.plan import Step, Verdict
from executor.actions.provision import ProvisionRunner
from executor.contract import Context, StepFailed
from executor.stores.registry import OpenStores

MakeContext = Callable[..., Context]
MakeStep = Callable[..., Step]
Database = pymongo.database.Database[dict[str, Any]]


@pytest.fixture
def here(stores: OpenStores, context: MakeContext) -> Context:
    """A context with the store ``db``."""
    return context(stores=stores)


def wanted(**entry: object) -> dict[str, object]:
    return {"collections": [{"target": {"store": "db", "collection": "notes"}, **entry}]}


INDEXES = [
    {"keys": [["type", 1], ["when", -1]], "name": "by-type"},
    {"keys": [["slug", 1]], "unique": True, "partialFilterExpression": {"slug": {"$exists": True}}},
    {"keys": [["title", "text"], ["body", "text"]], "weights": {"title": 5}, "name": "words"},
    {"keys": [["at", "2dsphere"]], "sparse": True},
    {"keys": [["seen", 1]], "expireAfterSeconds": 3600, "name": "old"},
    {"keys": [["name", 1]], "collation": {"locale": "de", "strength": 2}, "name": "by-name"},
]


def provision(it: Step, here: Context) -> object:
    runner = ProvisionRunner()
    return runner.run(it, here, runner.prepare(it, here)).result["created"]


def test_creates_once(here: Context, database: Database, step: MakeStep) -> None:
    """Collections and indexes of all kinds are created, and the second time nothing is."""
    options = {"validator": {"n": {"$gte": 0}}, "validationLevel": "moderate"}
    it = step("provision", wanted(indexes=INDEXES, options=options))
    assert ProvisionRunner().probe(it, here, ProvisionRunner().prepare(it, here)) is Verdict.ABSENT
    assert provision(it, here) == [
        "db.notes",
        "db.notes/by-type",
        "db.notes/slug_1",
        "db.notes/words",
        "db.notes/at_2dsphere",
        "db.notes/old",
        "db.notes/by-name",
    ]
    made = database.notes.index_information()
    assert made["by-type"]["key"] == [("type", 1), ("when", -1)]
    assert made["slug_1"]["unique"]
    assert made["words"]["weights"] == {"title": 5, "body": 1}
    assert provision(it, here) == []
    assert ProvisionRunner().probe(it, here, ProvisionRunner().prepare(it, here)) is Verdict.APPLIED


def test_creates_what_is_missing(here: Context, database: Database, step: MakeStep) -> None:
    """A collection that is there gets the indexes that it lacks, and keeps the others and its data."""
    database.notes.create_index({"type": 1, "when": -1}, name="by-type")
    database.notes.create_index("mine")
    database.notes.insert_one({"_id": 1})
    it = step("provision", wanted(indexes=INDEXES[:2]))
    assert provision(it, here) == ["db.notes/slug_1"]
    assert set(database.notes.index_information()) == {"_id_", "by-type", "mine_1", "slug_1"}
    assert database.notes.count_documents({}) == 1


def test_equal_index_of_another_name_serves(here: Context, database: Database, step: MakeStep) -> None:
    """An index that the plan does not name may be there under any name."""
    database.notes.create_index({"type": 1}, name="whatever")
    assert provision(step("provision", wanted(indexes=[{"keys": [["type", 1]]}])), here) == []


def test_index_inherits_collation(here: Context, step: MakeStep) -> None:
    """An index of a collection with a collation is found equal the second time."""
    simple = {"keys": [["name", "text"]], "collation": {"locale": "simple"}, "name": "words"}
    entry = wanted(options={"collation": {"locale": "de"}}, indexes=[{"keys": [["name", 1]]}, simple])
    assert provision(step("provision", entry), here) == ["db.notes", "db.notes/name_1", "db.notes/words"]
    assert provision(step("provision", entry), here) == []


def test_capped_size_is_rounded_up(here: Context, step: MakeStep) -> None:
    """The server's own rounding of a capped collection's size is no difference."""
    it = step("provision", wanted(options={"capped": True, "size": 100_001, "max": 10}))
    assert provision(it, here) == ["db.notes"]
    assert provision(it, here) == []


def test_default_options_are_no_difference(here: Context, database: Database, step: MakeStep) -> None:
    """Asking for what the server does anyway fits a collection that was created without a word."""
    database.create_collection("notes")
    options = {"validationLevel": "strict", "validationAction": "error", "capped": False}
    assert provision(step("provision", wanted(options=options)), here) == []


DIFFERENCES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "other keys": (
        {},
        {"keys": {"type": 1}, "name": "by-type"},
        {"indexes": INDEXES[:1]},
        "its index 'by-type' has the keys {type: 1}, not {type: 1, when: -1}",
    ),
    "not unique": (
        {},
        {"keys": {"slug": 1}, "name": "slug"},
        {"indexes": [{"keys": [["slug", 1]], "name": "slug", "unique": True}]},
        "its index 'slug' has unique: None, not True",
    ),
    "unique unasked": (
        {},
        {"keys": {"slug": 1}, "name": "slug", "unique": True},
        {"indexes": [{"keys": [["slug", 1]], "name": "slug"}]},
        "its index 'slug' has unique: True, not False",
    ),
    "expires unasked": (
        {},
        {"keys": {"slug": 1}, "expireAfterSeconds": 9},
        {"indexes": [{"keys": [["slug", 1]]}]},
        "its index 'slug_1' has expireAfterSeconds: 9, not None",
    ),
    "another name": (
        {},
        {"keys": {"slug": 1}, "name": "theirs"},
        {"indexes": [{"keys": [["slug", 1]], "name": "ours"}]},
        "its index 'theirs' is the plan's 'ours' under another name",
    ),
    "another validator": (
        {"validator": {"n": {"$gte": 1}}},
        {},
        {"options": {"validator": {"n": {"$gte": 0}}}},
        "its option validator is",
    ),
    "capped unasked": ({"capped": True, "size": 4096}, {}, {}, "it has the option capped"),
    "another size": (
        {"capped": True, "size": 4096},
        {},
        {"options": {"capped": True, "size": 8192}},
        "its option size is 4096, not 8192",
    ),
    "a view": ({"viewOn": "others", "pipeline": []}, {}, {}, "it has the option viewOn"),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_difference_is_refused(here: Context, database: Database, step: MakeStep, name: str) -> None:
    """What exists and is not what the plan asks for is told, both sides, before anything is created."""
    options, index, entry, told = DIFFERENCES[name]
    database.create_collection("notes", **options)
    if index:
        keys = index.pop("keys")
        database.notes.create_index(keys, **index)
        index["keys"] = keys
    it = step("provision", {"collections": [
        {"target": {"store": "db", "collection": "first"}},
        *wanted(**entry)["collections"],  # type: ignore[misc]
    ]})  # fmt: skip
    with pytest.raises(StepFailed) as caught:
        provision(it, here)
    assert caught.value.message.startswith("db.notes exists, and ")
    assert told in caught.value.message
    assert caught.value.verdict is Verdict.ABSENT
    assert "first" not in database.list_collection_names()
    assert ProvisionRunner().probe(it, here, {}) is Verdict.UNKNOWN


def test_undo_drops_what_was_created(here: Context, database: Database, step: MakeStep) -> None:
    """What was there before stays, what was created goes, and a second undo finds nothing to do."""
    database.notes.create_index("mine")
    runner = ProvisionRunner()
    entry = wanted(indexes=INDEXES[:2])
    entry["collections"].append({"target": {"store": "db", "collection": "fresh"}})  # type: ignore[attr-defined]
    it = step("provision", entry)
    prepared = runner.prepare(it, here)
    runner.run(it, here, prepared)
    assert runner.undo(it, here, prepared).result == {
        "dropped": ["db.fresh", "db.notes/slug_1", "db.notes/by-type"]
    }
    assert database.list_collection_names() == ["notes"]
    assert set(database.notes.index_information()) == {"_id_", "mine_1"}
    assert runner.undo(it, here, prepared).result == {"dropped": []}


def test_undo_keeps_a_collection_with_data(here: Context, database: Database, step: MakeStep) -> None:
    """A collection that somebody put data into since is left alone and listed."""
    runner, it = ProvisionRunner(), step("provision", wanted(indexes=INDEXES[:1]))
    prepared = runner.prepare(it, here)
    runner.run(it, here, prepared)
    database.notes.insert_one({"_id": 1})
    undone = runner.undo(it, here, prepared).result
    assert undone["changedSince"] == ["db.notes holds 1 records"]
    assert database.notes.count_documents({}) == 1


def test_half_done_is_found_and_finished(here: Context, database: Database, step: MakeStep) -> None:
    """A step that was killed between two indexes is found so, finished, and taken back as a whole."""
    runner, it = ProvisionRunner(), step("provision", wanted(indexes=INDEXES[:2]))
    prepared = runner.prepare(it, here)
    database.create_collection("notes")
    database.notes.create_index({"type": 1, "when": -1}, name="by-type")
    assert runner.probe(it, here, prepared) is Verdict.RESUMABLE
    assert runner.run(it, here, prepared).result["created"] == ["db.notes/slug_1"]
    runner.undo(it, here, prepared)
    assert database.list_collection_names() == []


def test_order_of_keys_must_be_known(here: Context, step: MakeStep) -> None:
    """Keys whose order is not certain are refused instead of guessed."""
    for keys in ({"b": 1, "a": 1}, [["a"]], "a", None):
        with pytest.raises(StepFailed, match="must be pairs of field and direction"):
            provision(step("provision", wanted(indexes=[{"keys": keys}])), here)


def vectors(**entry: object) -> dict[str, object]:
    target = {"store": "vectors", "collection": "content"}
    return {"collections": [{"target": target, "metric": "l2", "dimension": 4, **entry}]}


def test_vector_collection(here: Context, stores: OpenStores, step: MakeStep) -> None:
    """A vector collection is created with its metric, found again, and dropped again."""
    runner, it = ProvisionRunner(), step("provision", vectors())
    prepared = runner.prepare(it, here)
    assert runner.probe(it, here, prepared) is Verdict.ABSENT
    assert runner.run(it, here, prepared).result["created"] == ["vectors.content"]
    facts = stores.open("vectors").facts("content")
    assert (facts.metric, facts.dimension) == ("l2", 4)
    assert runner.run(it, here, prepared).result["created"] == []
    assert runner.probe(it, here, prepared) is Verdict.APPLIED
    assert runner.undo(it, here, prepared).result == {"dropped": ["vectors.content"]}
    assert not stores.open("vectors").exists("content")


def test_vector_collection_of_another_metric(here: Context, step: MakeStep) -> None:
    """A metric cannot change: the collection that has another one is refused, with both named."""
    provision(step("provision", vectors()), here)
    it = step("provision", vectors(metric="cosine"))
    with pytest.raises(StepFailed, match="has the metric 'l2', the plan wants 'cosine'") as caught:
        provision(it, here)
    assert caught.value.verdict is Verdict.ABSENT
    assert ProvisionRunner().probe(it, here, {}) is Verdict.UNKNOWN


def test_vector_collection_keeps_its_embedding(here: Context, stores: OpenStores, step: MakeStep) -> None:
    """Which embedding a collection is for is kept with it, and another one is refused."""
    provision(step("provision", vectors(embedding={"provider": "source", "field": "v"})), here)
    assert stores.open("vectors").facts("content").embedding == "source/v-4"
    with pytest.raises(StepFailed, match="embedding"):
        provision(step("provision", vectors(embedding={"provider": "source", "field": "w"})), here)
