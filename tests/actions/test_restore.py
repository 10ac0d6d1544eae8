"""Restores: exact, resumable, counted, and taken back byte for byte."""

from __future__ import annotations

import gzip
import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pymongo
import pytest
from bson import json_util

from compiler.model.codec import seal
from compiler.model.plan import FORMAT, CompiledPlan, JsonObject, PlanKind, Step, Verb, Verdict
from compiler.model.run import Counts
from executor.actions.backup import BackupRunner
from executor.actions.restore import RestoreRunner
from executor.contract import Context, Outcome, StepFailed, Stopped, StoreRefused, UndoLog
from executor.journal.events import Event, Phase
from executor.journal.sqlite import SqliteJournal
from executor.owner import this_process
from executor.stores.port import VectorRecords, VectorStore
from executor.stores.registry import OpenStores

MakeContext = Callable[..., Context]
MakeStep = Callable[..., Step]
Database = pymongo.database.Database[dict[str, Any]]


@pytest.fixture
def here(stores: OpenStores, context: MakeContext, tmp_path: Path) -> Iterator[MakeContext]:
    """Makes contexts of one run with the stores ``db`` and ``vectors`` and a journal that keeps undo logs."""
    run = "run-" + uuid.uuid4().hex[:10]
    journal = SqliteJournal(tmp_path / "journal.db")
    plan = seal(CompiledPlan(name="test", kind=PlanKind.PLAN, format=FORMAT))
    token = journal.create(run, plan, this_process(run), Event(phase=Phase.STARTED, at=0.0))

    def undo_log(step: str) -> UndoLog:
        return journal.undo_log(run, token, step)

    def make(**parts: object) -> Context:
        return context(**{"run": run, "stores": stores, "undo_log": undo_log, **parts})

    yield make
    stores.open("db").drop_undo(run)
    journal.close()


def params(origin: str, collection: str = "notes", store: str = "db", **more: object) -> dict[str, object]:
    return {"from": origin, "into": {"store": store, "collection": collection}, "existing": "replace", **more}


def restore(it: Step, where: Context) -> tuple[Outcome, JsonObject]:
    runner = RestoreRunner()
    prepared = json.loads(json.dumps(runner.prepare(it, where)))
    return runner.run(it, where, prepared), prepared


def take_back(it: Step, where: Context, prepared: JsonObject) -> JsonObject:
    back = replace(it, id=f"undo:{it.id}", verb=Verb.UNDO, undoes=it.id)
    return RestoreRunner().undo(back, where, prepared).result


def content(database: Database, collection: str = "notes") -> list[bytes]:
    raw = database[collection].find_raw_batches({}, sort=[("_id", 1)])
    return [bytes(item) for batch in raw for item in _split(batch)]


def _split(batch: bytes) -> Iterator[bytes]:
    while batch:
        length = int.from_bytes(batch[:4], "little")
        yield batch[:length]
        batch = batch[length:]


def dump(path: Path, documents: list[dict[str, Any]]) -> list[bytes]:
    """Write documents in the format that the path's name says."""
    records = [bson.encode(document) for document in documents]
    canonical = json_util.CANONICAL_JSON_OPTIONS
    lines = [json_util.dumps(document, json_options=canonical).encode() + b"\n" for document in documents]
    data = b"".join(lines if ".jsonl" in path.name else records)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return records


SOME: list[dict[str, Any]] = [
    {"_id": i, "long": bson.Int64(i), "t": "é" * (i % 9), "when": bson.DatetimeMS(2**50 + i)}
    for i in range(12_000)
]
MIXED: list[dict[str, Any]] = [
    {"_id": "b", "x": bson.Binary(b"1", 2)},
    {"_id": 3, "dec": bson.Decimal128("1.10")},
    {"_id": bson.ObjectId(b"abcdefghijkl"), "re": bson.Regex("a", "i")},
    {"_id": {"k": 1}, "n": None},
    {"_id": 2.5, "zero": bson.Timestamp(0, 0)},
]


@pytest.mark.parametrize("name", ["x.bson", "x.bson.gz", "x.jsonl", "x.jsonl.gz"])
def test_every_format_arrives_exactly(
    tmp_path: Path, database: Database, here: MakeContext, step: MakeStep, name: str
) -> None:
    """Each format brings every document byte for byte, whatever the type and order of its key."""
    records = dump(tmp_path / name, MIXED)
    outcome, _ = restore(step("restore", params(name)), here())
    assert sorted(content(database)) == sorted(records)
    assert outcome.counts is not None
    assert (outcome.counts.read, outcome.counts.written, outcome.counts.dead) == (5, 5, 0)


def test_many_batches_and_again(
    tmp_path: Path, database: Database, here: MakeContext, step: MakeStep
) -> None:
    """A second restore of the same file, by another run, writes nothing."""
    records = dump(tmp_path / "x.bson.gz", SOME)
    it = step("restore", params("x.bson.gz"))
    restore(it, here())
    assert content(database) == records
    outcome, _ = restore(replace(it, id="again"), here())
    assert outcome.counts == Counts(read=12_000, unchanged=12_000, bytes=sum(map(len, records)))


def test_undo_of_fresh_restore(tmp_path: Path, database: Database, here: MakeContext, step: MakeStep) -> None:
    """What was restored into nothing is gone again, and so is the collection."""
    dump(tmp_path / "x.bson", SOME)
    it = step("restore", params("x.bson"))
    _, prepared = restore(it, here())
    assert take_back(it, here(), prepared)["deleted"] == 12_000
    assert database.list_collection_names() == []
    assert take_back(it, here(), prepared).get("changedSince") is None


@pytest.mark.parametrize("existing", ["replace", "keep", "fail"])
def test_what_is_there_already(
    tmp_path: Path, database: Database, here: MakeContext, step: MakeStep, existing: str
) -> None:
    """Records that are there are replaced, kept or a failure, and come back byte for byte."""
    old = [{"_id": i, "old": bson.Int64(i)} for i in range(5)] + [{"_id": 100, "mine": True}]
    database.notes.insert_many(old)
    before = content(database)
    dump(tmp_path / "x.jsonl", [{"_id": i, "new": i} for i in range(10)])
    it = step("restore", params("x.jsonl", existing=existing))
    where = here()
    prepared = RestoreRunner().prepare(it, where)
    if existing == "fail":
        with pytest.raises(StepFailed, match="5 dead letters of 10 records"):
            RestoreRunner().run(it, where, prepared)
    else:
        RestoreRunner().run(it, where, prepared)
    kept = [bson.decode(record) for record in content(database)]
    assert len(kept) == 11
    assert ("new" in kept[0]) is (existing == "replace")
    take_back(it, here(), prepared)
    assert content(database) == before


def test_writes_of_others_since_are_left_and_listed(
    tmp_path: Path, database: Database, here: MakeContext, step: MakeStep
) -> None:
    """A document that somebody changed after the restore is not taken back."""
    dump(tmp_path / "x.bson", [{"_id": i} for i in range(10)])
    it = step("restore", params("x.bson"))
    _, prepared = restore(it, here())
    database.notes.update_one({"_id": 3}, {"$set": {"edited": True}})
    database.notes.insert_one({"_id": "new"})
    undone = take_back(it, here(), prepared)
    assert undone["deleted"] == 9
    assert list(database.notes.find({}, sort=[("_id", 1)])) == [{"_id": 3, "edited": True}, {"_id": "new"}]
    assert undone["changedSince"] == ['db.notes {"$numberInt":"3"}']


def test_two_records_of_one_id(tmp_path: Path, database: Database, here: MakeContext, step: MakeStep) -> None:
    """Of two records with one id in a file the first has it; the second is a dead letter, which fails the
    step unless it is allowed."""
    dump(tmp_path / "x.bson", [{"_id": 1, "n": 1}, {"_id": 2}, {"_id": 1, "n": 2}])
    it = step("restore", params("x.bson"))
    where = here()
    with pytest.raises(StepFailed, match="1 dead letters of 3 records"):
        restore(it, where)
    [dead] = where.journal.dead  # type: ignore[attr-defined]
    assert dead.reason.startswith("duplicate-id")
    assert bson.decode(dead.body) == {"_id": 1, "n": 2}
    assert database.notes.find_one({"_id": 1}) == {"_id": 1, "n": 1}
    allowed = step("restore", params("x.bson", errorThreshold={"rate": 50, "count": None}), id="allowed")
    assert restore(allowed, here())[0].counts == Counts(read=3, unchanged=2, dead=1, bytes=56)


def test_poison_is_dead_letter(tmp_path: Path, database: Database, here: MakeContext, step: MakeStep) -> None:
    """A document that the target will not take does not keep the others out."""
    database.create_collection("notes", validator={"n": {"$gte": 0}})
    dump(tmp_path / "x.bson", [{"_id": i, "n": -1 if i == 7 else i} for i in range(20)])
    where = here()
    with pytest.raises(StepFailed, match="1 dead letters of 20 records"):
        restore(step("restore", params("x.bson")), where)
    [dead] = where.journal.dead  # type: ignore[attr-defined]
    assert (dead.key, dead.position) == ('{"$numberInt":"7"}', 7)
    assert database.notes.count_documents({}) == 19


@pytest.mark.parametrize("name", ["x.bson", "x.jsonl.gz"])
def test_broken_file_fails_after_its_good_part(
    tmp_path: Path, database: Database, here: MakeContext, step: MakeStep, name: str
) -> None:
    """A file that breaks off half-way fails with its place; the undo takes back what had come."""
    dump(tmp_path / name, SOME)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    it, where = step("restore", params(name)), here()
    prepared = RestoreRunner().prepare(it, where)
    with pytest.raises(StepFailed, match=rf"{name}: record \d+ \(at byte \d+\) cannot be read: .*cut off"):
        RestoreRunner().run(it, where, prepared)
    take_back(it, here(), prepared)
    assert database.list_collection_names() == []


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        ("away.bson", "there is no file"),
        ("x.csv", "has no format"),
        ("empty", "there is no backup in"),
        ("step:nothing", "there is no backup in"),
    ],
)
def test_nothing_to_restore_from(
    tmp_path: Path, database: Database, here: MakeContext, step: MakeStep, origin: str, told: str
) -> None:
    """What cannot be restored from is told before anything is written."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.csv").write_text("a,b\n")
    with pytest.raises(StepFailed, match=told) as caught:
        restore(step("restore", params(origin)), here())
    assert caught.value.verdict is Verdict.ABSENT
    assert database.list_collection_names() == []


def test_stopped_and_resumed(tmp_path: Path, database: Database, here: MakeContext, step: MakeStep) -> None:
    """A restore that was stopped goes on after its last checkpoint, and nothing comes twice or is lost."""
    records = dump(tmp_path / "x.jsonl.gz", SOME)
    it = step("restore", params("x.jsonl.gz", batchSize=500))
    first = here()

    def proceed() -> None:
        if len(first.journal.cursors) > 3:  # type: ignore[attr-defined]
            raise Stopped

    stopping = replace(first, proceed=proceed)
    prepared = RestoreRunner().prepare(it, stopping)
    with pytest.raises(Stopped):
        RestoreRunner().run(it, stopping, prepared)
    assert RestoreRunner().probe(it, here(), prepared) is Verdict.RESUMABLE
    cursor = first.journal.cursors[-1]  # type: ignore[attr-defined]
    counts = first.journal.counts[-1]  # type: ignore[attr-defined]
    assert 0 < counts.read < 12_000
    outcome = RestoreRunner().run(it, here(attempt=2, checkpoint=cursor, counts=counts), prepared)
    assert outcome.counts == Counts(read=12_000, written=12_000, bytes=sum(map(len, records)))
    assert content(database) == records
    take_back(it, here(), prepared)
    assert database.list_collection_names() == []


def back_up(
    step: MakeStep, where: Context, *collections: str, store: str = "db", to: str | None = None
) -> Step:
    sources = [{"store": store, "collection": name} for name in collections]
    it = step("backup", {"sources": sources, "to": to}, id="save")
    BackupRunner().run(it, where, BackupRunner().prepare(it, where))
    return it


def test_backup_brings_everything_back(database: Database, here: MakeContext, step: MakeStep) -> None:
    """A collection that is gone comes back from a step's backup with its options, indexes and bytes."""
    database.create_collection("notes", validator={"t": {"$type": "string"}}, collation={"locale": "de"})
    database.notes.insert_many([{"_id": str(i), "t": "x", "n": bson.Int64(i)} for i in range(3000)])
    database.notes.create_index({"n": 1, "t": -1}, name="by-n", unique=True)
    database.notes.create_index({"t": "text"}, name="words", collation={"locale": "simple"})
    before, facts = content(database), (database.notes.options(), database.notes.index_information())
    back_up(step, here(), "notes", "away")
    database.notes.drop()
    it = step("restore", params("step:save"))
    outcome, prepared = restore(it, here())
    assert content(database) == before
    assert (database.notes.options(), database.notes.index_information()) == facts
    assert outcome.result["indexes"] == ["by-n", "words"]
    assert restore(replace(it, id="again"), here())[0].counts == Counts(
        read=3000, unchanged=3000, bytes=sum(map(len, before))
    )
    take_back(it, here(), prepared)
    assert database.list_collection_names() == []


def test_backup_in_a_place_of_its_own(database: Database, here: MakeContext, step: MakeStep) -> None:
    """A step's backup is found where the plan put it, and its folder can be named as well."""
    database.notes.insert_one({"_id": 1})
    back_up(step, here(), "notes", to="kept")

    def prepared_of(name: str) -> JsonObject | None:
        return {"folder": str(here().base / "kept")} if name == "save" else None

    restore(step("restore", params("step:save", "one")), here(prepared_of=prepared_of))
    restore(step("restore", params("kept", "two"), id="other"), here())
    assert content(database, "one") == content(database, "two") == content(database)


def test_backup_with_several_collections(database: Database, here: MakeContext, step: MakeStep) -> None:
    """From a backup of several collections comes the one that is asked for, or none by guess."""
    database.one.insert_one({"_id": 1})
    database.two.insert_one({"_id": 2})
    back_up(step, here(), "one", "two", to="kept")
    database.two.drop()
    restore(step("restore", params("kept", "two")), here())
    assert list(database.two.find()) == [{"_id": 2}]
    with pytest.raises(StepFailed, match=r"does not hold db\.three") as caught:
        restore(step("restore", params("kept", "three")), here())
    assert "it holds db.one, db.two" in caught.value.hint
    restore(step("restore", params("kept/db.two.bson.gz", "three"), id="third"), here())
    assert list(database.three.find()) == [{"_id": 2}]


def test_backup_of_what_was_absent(database: Database, here: MakeContext, step: MakeStep) -> None:
    """A collection that did not exist has nothing to restore."""
    back_up(step, here(), "away", to="kept")
    outcome, prepared = restore(step("restore", params("kept", "away")), here())
    assert outcome == Outcome(counts=Counts(), result={"absent": "db.away"})
    assert take_back(step("restore", params("kept", "away")), here(), prepared)["deleted"] == 0
    assert database.list_collection_names() == []


def test_damaged_and_unfinished_backups(
    database: Database, here: MakeContext, step: MakeStep, tmp_path: Path
) -> None:
    """A backup that is not the one that was written, or was not finished, is refused before any effect."""
    database.notes.insert_many([{"_id": i} for i in range(500)])
    back_up(step, here(), "notes", to="kept")
    database.notes.drop()
    path = tmp_path / "kept" / "db.notes.bson.gz"
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    with pytest.raises(StepFailed, match="was changed or damaged") as caught:
        restore(step("restore", params("kept")), here())
    assert caught.value.verdict is Verdict.ABSENT
    path.write_bytes(data)
    manifest = tmp_path / "kept" / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"complete": true', '"complete": false'))
    with pytest.raises(StepFailed, match="was not finished"):
        restore(step("restore", params("kept")), here())
    assert database.list_collection_names() == []


def test_index_that_is_missing_is_told(database: Database, here: MakeContext, step: MakeStep) -> None:
    """A collection that was there keeps its own indexes; those of the backup that it lacks are named."""
    database.notes.insert_one({"_id": 1})
    database.notes.create_index("n", name="by-n")
    back_up(step, here(), "notes", to="kept")
    database.notes.drop_index("by-n")
    outcome, _ = restore(step("restore", params("kept")), here())
    assert outcome.result["missingIndexes"] == ["by-n"]
    assert list(database.notes.index_information()) == ["_id_"]


def test_view_is_no_target(tmp_path: Path, database: Database, here: MakeContext, step: MakeStep) -> None:
    """A view cannot be restored into."""
    database.create_collection("seen", viewOn="notes", pipeline=[])
    dump(tmp_path / "x.bson", MIXED)
    with pytest.raises(StepFailed, match="is a view"):
        restore(step("restore", params("x.bson", "seen")), here())


def vector_store(stores: OpenStores) -> VectorStore:
    store = stores.open("vectors")
    assert isinstance(store, VectorStore)
    return store


def all_vectors(store: VectorStore, collection: str = "content") -> list[tuple[object, ...]]:
    rows = []
    for part in store.scan(collection):
        assert part.vectors is not None
        assert part.documents is not None
        for at, record_id in enumerate(part.ids):
            rows.append((record_id, part.vectors[at].tobytes(), part.metadatas[at], part.documents[at]))
    return sorted(rows, key=lambda row: str(row[0]))


def fill(store: VectorStore, count: int = 300, metric: str = "l2") -> None:
    numbers = np.random.default_rng(1)
    store.create("content", metric=metric, dimension=4, embedding="static/x")
    store.add(
        "content",
        VectorRecords(
            ids=[f"note:{i}" for i in range(count)],
            vectors=numbers.normal(size=(count, 4)).astype(np.float32),
            metadatas=[
                {"n": i, "f": float(i), "big": 2**40, "tags": ["a", "b"]} if i % 3 else None
                for i in range(count)
            ],
            documents=[f"text {i}" if i % 2 else None for i in range(count)],
        ),
    )


def drop(store: VectorStore) -> None:
    """Drop a collection with lists in its metadata: ChromaDB forgets these only with their records."""
    store.delete("content", [record_id for part in store.scan("content") for record_id in part.ids])
    store.drop("content")


def test_vectors_come_back(stores: OpenStores, here: MakeContext, step: MakeStep) -> None:
    """A vector collection comes back from its backup: bits, metadata with their types, documents, metric."""
    store = vector_store(stores)
    fill(store)
    before, facts = all_vectors(store), store.facts("content")
    back_up(step, here(), "content", store="vectors")
    drop(store)
    it = step("restore", params("step:save", "content", "vectors"))
    outcome, prepared = restore(it, here())
    assert outcome.counts is not None
    assert outcome.counts.written == 300
    assert all_vectors(store) == before
    assert store.facts("content") == facts
    again, _ = restore(replace(it, id="again"), here())
    assert again.counts is not None
    assert (again.counts.written, again.counts.unchanged) == (0, 300)
    take_back(it, here(), prepared)
    assert not store.exists("content")


def test_vectors_over_others(stores: OpenStores, here: MakeContext, step: MakeStep) -> None:
    """Vectors that changed since the backup are put back, and the undo brings the changed ones again."""
    store = vector_store(stores)
    fill(store)
    backed_up = all_vectors(store)
    back_up(step, here(), "content", store="vectors")
    ids = [f"note:{i}" for i in range(10)]
    changed = VectorRecords(
        ids=ids, vectors=np.ones((10, 4), dtype=np.float32), metadatas=[{"changed": True}] * 10
    )
    store.replace("content", changed, store.get("content", ids))
    store.delete("content", ["note:20"])
    before = all_vectors(store)
    it = step("restore", params("step:save", "content", "vectors"))
    outcome, prepared = restore(it, here())
    assert outcome.counts is not None
    assert (outcome.counts.written, outcome.counts.unchanged) == (11, 289)
    assert all_vectors(store) == backed_up
    assert take_back(it, here(), prepared).get("changedSince") is None
    assert all_vectors(store) == before


def test_vectors_of_a_users_file(
    tmp_path: Path, stores: OpenStores, here: MakeContext, step: MakeStep
) -> None:
    """A file with lists of numbers is restored with the store's metric; what does not fit is dead."""
    lines = [
        {"id": "a", "vector": [1, 2, 3, 4.5], "metadata": {"n": 1}, "document": "x"},
        {"id": "b", "vector": [1, 2, 3]},
        {"id": "c", "vector": [1, 2, 3, float("nan")]},
        {"id": "a", "vector": [4, 3, 2, 1]},
    ]
    (tmp_path / "v.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    allow = {"errorThreshold": {"rate": None, "count": 3}}
    where = here()
    outcome, _ = restore(step("restore", params("v.jsonl", "content", "vectors", **allow)), where)
    assert outcome.counts is not None
    assert (outcome.counts.written, outcome.counts.dead) == (1, 3)
    store = vector_store(stores)
    assert store.facts("content").metric == "cosine"
    [row] = all_vectors(store)
    assert (row[0], row[2], row[3]) == ("a", {"n": 1}, "x")
    reasons = [dead.reason.split(":")[0] for dead in where.journal.dead]  # type: ignore[attr-defined]
    assert reasons == [
        "the vector has 3 dimensions, not 4",
        "the vector holds NaN or infinity",
        "duplicate-id",
    ]


BAD_VECTORS = {
    '{"id": "a"}': "neither base64 nor a list",
    '{"id": "a", "vector": "%%%"}': "is no base64",
    '{"id": "a", "vector": "AAA="}': "is not made of float32",
    '{"id": "a", "vector": [true]}': "holds something that is not a number",
    '{"id": "a", "vector": [1e300]}': "float32 cannot hold",
    '{"id": 1, "vector": []}': "it needs an 'id'",
    '{"id": "a", "vector": [1], "metadata": []}': "is no mapping",
    '{"id": "a", "vector": [1], "document": 1}': "is no text",
    '{"id": "a", "vector": [1], "embedding": []}': "it has the field 'embedding'",
    '{"id": "a\\ud800", "vector": [1]}': "can be kept",
    "[]": "it needs an 'id'",
    "{": "it is no JSON",
    "[" * 100_000: "it is no JSON",
}


@pytest.mark.parametrize("line", BAD_VECTORS, ids=BAD_VECTORS.values())
def test_line_that_is_no_vector(
    tmp_path: Path, here: MakeContext, step: MakeStep, stores: OpenStores, line: str
) -> None:
    """A line that is no record of vectors stops the step with its place."""
    (tmp_path / "v.jsonl").write_text('{"id": "x", "vector": [1, 2, 3, 4]}\n' + line + "\n")
    with pytest.raises(StepFailed, match=BAD_VECTORS[line]) as caught:
        restore(step("restore", params("v.jsonl", "content", "vectors")), here())
    assert "v.jsonl: record 2 (at byte 36)" in caught.value.message


def test_backup_of_the_other_kind(
    database: Database, stores: OpenStores, here: MakeContext, step: MakeStep
) -> None:
    """Records are not restored as vectors, nor vectors as records."""
    fill(vector_store(stores), 3)
    database.notes.insert_one({"_id": 1})
    back_up(step, here(), "content", store="vectors", to="v")
    back_up(step, here(), "notes", to="n")
    for origin, store in (("v", "db"), ("n", "vectors")):
        with pytest.raises(StepFailed, match="is a collection of a") as caught:
            restore(step("restore", params(origin, "other", store)), here())
        assert caught.value.verdict is Verdict.ABSENT


def test_vector_collection_of_another_metric(stores: OpenStores, here: MakeContext, step: MakeStep) -> None:
    """A backup is not restored into a collection whose metric is another."""
    store = vector_store(stores)
    fill(store, 3)
    back_up(step, here(), "content", store="vectors", to="v")
    drop(store)
    store.create("content", metric="ip")
    with pytest.raises(StoreRefused, match="has the metric 'ip', the plan wants 'l2'"):
        restore(step("restore", params("v", "content", "vectors")), here())


def test_stop_anywhere_and_go_on(
    tmp_path: Path, database: Database, here: MakeContext, step: MakeStep
) -> None:
    """Wherever a restore over existing data is stopped, it goes on to the same end and the same way back."""
    chance = random.Random(7)
    old = [{"_id": i, "old": True} for i in range(0, 3000, 3)]
    records = dump(tmp_path / "x.bson", [{"_id": i, "new": i} for i in range(3000)])
    for round_ in range(5):
        name = f"c{round_}"
        database[name].insert_many(old)
        before = content(database, name)
        it = step("restore", params("x.bson", name, batchSize=100), id=name)
        prepared = RestoreRunner().prepare(it, here())
        cursor, counts = None, None
        for attempt in range(1, 50):
            left = iter(range(chance.randrange(2, 60)))
            where = here(attempt=attempt, checkpoint=cursor, counts=counts)

            def proceed(left: Iterator[int] = left) -> None:
                if next(left, None) is None:
                    raise Stopped

            try:
                outcome = RestoreRunner().run(it, replace(where, proceed=proceed), prepared)
                break
            except Stopped:
                kept = where.journal
                if kept.cursors:  # type: ignore[attr-defined]
                    cursor, counts = kept.cursors[-1], kept.counts[-1]  # type: ignore[attr-defined]
        assert outcome.counts is not None
        assert (outcome.counts.read, outcome.counts.written) == (3000, 3000)
        assert content(database, name) == records
        take_back(it, here(), prepared)
        assert content(database, name) == before
