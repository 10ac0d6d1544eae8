"""A plain copy: fresh, again, into what is there already, and back."""

from __future__ import annotations

import datetime
import random
import uuid

import bson
import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from pymongo.database import Database

from executor.contract import StepFailed, Stopped
from executor.stores.bson_key import key_of
from executor.stores.port import Act, Fate
from tests.engines.contents import records
from tests.engines.driving import Drive, copy

Documents = Database[dict[str, object]]

KEYS: list[object] = [
    ObjectId("6b02e232e0962b8e0b033906"),
    "a string",
    "",
    "7",
    7,
    Int64(2**40),
    -1,
    2.5,
    float("nan"),
    float("-inf"),
    Decimal128("10.10"),
    Decimal128("1E+6000"),
    True,
    False,
    None,
    datetime.datetime(2020, 1, 2, 3, 4, 5, 6000),
    DatetimeMS(-(2**60)),
    {"a": 1, "b": {"c": [1, 2.0, "x"]}},
    {"b": 1},
    {},
    Binary(b"\x00\x01", 0),
    Binary(b"old", 2),
    Binary(uuid.UUID(int=5).bytes, 3),
    Binary(uuid.UUID(int=6).bytes, 4),
    Binary(b"\x27\x00" + bytes(8), 9),
    Timestamp(1, 2),
    MinKey(),
    MaxKey(),
    Code("f()"),
    Code("g()", {"x": 1}),
]


def every_type(key: object) -> dict[str, object]:
    """A document with values of every type that BSON still writes."""
    return {
        "_id": key,
        "values": KEYS,
        "regex": Regex("^a", "im"),
        "reference": DBRef("other", 5),
        "nested": {"empty": {}, "list": [], "zero": Timestamp(0, 0)},
        "$price": 1,
        "a.b": 2,
        "": "nameless",
    }


def fill(database: Documents, count: int = 1000, collection: str = "source") -> None:
    """Records with numbers for keys."""
    rng = random.Random(1)
    database[collection].insert_many(
        [{"_id": number, "text": "x" * rng.randrange(200), "n": number} for number in range(count)]
    )


def test_every_type_of_key_and_value(drive: Drive, database: Documents) -> None:
    """Records with every BSON type as key and value arrive byte for byte, in batches that cross types."""
    database.source.insert_many([every_type(key) for key in KEYS])
    counts = drive.counts(copy(batchSize=4))
    assert (counts.read, counts.written) == (len(KEYS), len(KEYS))
    assert records(drive.records, "target") == records(drive.records, "source")
    assert drive.verify(copy(), "counts", "records")["compared"] == len(KEYS)
    result = drive.undo(copy())
    assert (result["deleted"], result["dropped"]) == (len(KEYS), ["m.target"])
    assert "changedSince" not in result
    assert drive.records.collections() == ["source"]


def test_an_empty_timestamp_stays_empty(drive: Drive, database: Documents) -> None:
    """MongoDB puts its clock in the place of an empty timestamp on insert; a copy does not let it."""
    database.source.insert_one({"_id": 1})
    database.source.update_one({"_id": 1}, {"$set": {"when": Timestamp(0, 0)}})
    database.target.insert_one({"_id": 1, "old": True})
    drive.counts(copy(target="fresh"))
    assert database.fresh.find_one() == {"_id": 1, "when": Timestamp(0, 0)}
    drive.begin()
    drive.counts(copy())
    assert database.target.find_one() == {"_id": 1, "when": Timestamp(0, 0)}
    drive.undo(copy())
    assert database.target.find_one() == {"_id": 1, "old": True}


def test_a_second_copy_writes_nothing(drive: Drive, database: Documents) -> None:
    """A copy into a complete target reads, compares and writes nothing: no record, no manifest."""
    fill(database)
    first = drive.counts(copy())
    assert (first.read, first.written, first.unchanged) == (1000, 1000, 0)
    drive.begin()
    writes = "oplog.rs"
    oplog = database.client.local.get_collection(writes)
    own = {"ns": {"$regex": f"^({database.name}|fordway.undo_{drive.run_id})"}}
    before = oplog.count_documents(own)
    second = drive.counts(copy())
    assert (second.read, second.written, second.unchanged) == (1000, 0, 1000)
    assert oplog.count_documents(own) == before
    assert drive.undo(copy())["deleted"] == 0
    assert database.target.count_documents({}) == 1000


def test_an_empty_source(drive: Drive, database: Documents) -> None:
    """A source without records is copied in no time, and taken back."""
    database.create_collection("source")
    counts = drive.counts(copy())
    assert counts.read == counts.written == 0
    assert drive.undo(copy())["deleted"] == 0
    assert drive.records.collections() == ["source"]


def test_a_source_that_does_not_exist(drive: Drive) -> None:
    """A wrong name for the source is an error, not a copy of nothing."""
    with pytest.raises(StepFailed, match=r"no collection 'm.sauce'"):
        drive.run(copy(source="sauce"))


def test_a_filter(drive: Drive, database: Documents) -> None:
    """``where`` is an extended JSON filter; what does not match is not read."""
    fill(database, 100)
    counts = drive.counts(copy(where={"n": {"$gte": {"$numberInt": "90"}}}))
    assert (counts.read, counts.written) == (10, 10)
    assert sorted(database.target.distinct("_id")) == list(range(90, 100))


def test_a_view_as_source(drive: Drive, database: Documents) -> None:
    """A view has no index of its keys; it is read in their order all the same."""
    fill(database, 250)
    database.command(
        {"create": "seen", "viewOn": "source", "pipeline": [{"$match": {"n": {"$lt": 230}}}, {"$unset": "n"}]}
    )
    counts = drive.counts(copy(source="seen"))
    assert counts.written == 230
    assert database.target.find_one({"_id": 229}, {"text": 0}) == {"_id": 229}


def test_into_a_target_that_has_data(drive: Drive, database: Documents) -> None:
    """Equal records are left, others replaced with a before-image, missing ones created; and back again,
    byte for byte."""
    fill(database)
    same = database.source.find_one({"_id": 3})
    assert same is not None
    database.target.insert_many(
        [same, {"_id": 5, "old": 1}, {"_id": 500.0, "old": 2}, {"_id": 5000, "other": True}]
    )
    before = records(drive.records, "target")
    counts = drive.counts(copy())
    assert (counts.written, counts.unchanged) == (999, 1)
    assert records(drive.records, "target")[:1000] == records(drive.records, "source")
    result = drive.undo(copy())
    assert (result["deleted"], result["restored"]) == (997, 2)
    assert records(drive.records, "target") == before


@pytest.mark.parametrize(
    ("existing", "written", "unchanged", "dead"), [("keep", 98, 2, 0), ("fail", 98, 1, 1)]
)
def test_existing_records_that_stay(
    drive: Drive, database: Documents, existing: str, written: int, unchanged: int, dead: int
) -> None:
    """``existing: keep`` leaves another record alone, ``fail`` makes it a dead letter."""
    fill(database, 100)
    same = database.source.find_one({"_id": 1})
    assert same is not None
    database.target.insert_many([same, {"_id": 2, "mine": True}])
    params = copy(existing=existing, errorThreshold={"rate": 50})
    counts = drive.counts(params)
    assert (counts.written, counts.unchanged, counts.dead) == (written, unchanged, dead)
    assert database.target.find_one({"_id": 2}) == {"_id": 2, "mine": True}
    assert drive.verify(params, "counts", "records")["dead"] == dead
    drive.undo(params)
    assert sorted(database.target.distinct("_id")) == [1, 2]


def test_changed_since_is_left_alone(drive: Drive, database: Documents) -> None:
    """What others changed, deleted or added after the copy is listed and left; the rest goes back."""
    fill(database, 300)
    database.target.insert_many([{"_id": 10, "old": 1}, {"_id": 11, "old": 1}, {"_id": 12, "old": 1}])
    drive.run(copy())
    database.target.update_one({"_id": 10}, {"$set": {"edited": 1}})
    database.target.update_one({"_id": 20}, {"$set": {"edited": 1}})
    database.target.delete_many({"_id": {"$in": [11, 21]}})
    database.target.insert_one({"_id": "new"})
    result = drive.undo(copy())
    assert sorted(map(str, database.target.distinct("_id"))) == ["10", "12", "20", "new"]
    assert database.target.find_one({"_id": 12}) == {"_id": 12, "old": 1}
    listed = result["changedSince"]
    assert isinstance(listed, list)
    assert sorted(map(str, listed)) == [f'm.target {{"$numberInt":"{key}"}}' for key in (10, 11, 20)]
    assert result["changedCount"] == 3


def test_added_into_a_fresh_target_is_left_alone(drive: Drive, database: Documents) -> None:
    """In a target that the step created, what others put between its records is found and left."""
    fill(database, 300)
    drive.run(copy())
    database.target.insert_one({"_id": 20.5})
    result = drive.undo(copy())
    assert list(database.target.find()) == [{"_id": 20.5}]
    assert result["changedSince"] == ['m.target {"$numberDouble":"20.5"}']
    assert result["dropped"] == []


def test_poison_records_go_to_the_dead_letters(drive: Drive, database: Documents) -> None:
    """A validator, another unique index, a bad id: each refused record is a dead letter with its reason
    and its bytes, and the rest is written."""
    fill(database, 500)
    database.source.update_one({"_id": 7}, {"$set": {"n": "not a number"}})
    database.source.update_one({"_id": 400}, {"$set": {"n": 399}})
    database.create_collection("target", validator={"n": {"$type": "int"}})
    database.target.create_index("n", unique=True)
    params = copy(errorThreshold={"rate": 1, "count": 2})
    counts = drive.counts(params)
    assert (counts.read, counts.written, counts.dead) == (500, 498, 2)
    first, second = drive.dead()
    assert (first.key, first.position, first.stage) == ('{"$numberInt":"7"}', 7, "write")
    assert "validation" in first.reason
    assert "duplicate-value" in second.reason
    assert bson.decode(first.body)["n"] == "not a number"
    assert drive.verify(params, "counts", "records")["dead"] == 2
    drive.undo(params)
    assert database.target.count_documents({}) == 0


def test_a_record_that_is_too_large_for_the_target(drive: Drive, database: Documents) -> None:
    """A replaced record that the validator refuses leaves the old one where it was."""
    fill(database, 20)
    database.create_collection("target", validator={"n": {"$lt": 10}}, validationLevel="strict")
    database.target.insert_many([{"_id": 15, "n": 1}, {"_id": 5, "n": 1}])
    params = copy(errorThreshold={"count": 100})
    counts = drive.counts(params)
    assert (counts.written, counts.dead) == (10, 10)
    assert database.target.find_one({"_id": 15}) == {"_id": 15, "n": 1}
    drive.undo(params)
    assert sorted(database.target.distinct("_id")) == [5, 15]


def test_the_threshold_fails_the_step(drive: Drive, database: Documents) -> None:
    """More dead letters than the plan allows fail the step with the numbers, and all of them are kept."""
    fill(database, 100)
    database.create_collection("target", validator={"n": {"$lt": 95}})
    with pytest.raises(StepFailed, match=r"5 dead letters of 100 records, 5 %; the plan allows 4 %"):
        drive.run(copy(errorThreshold={"rate": 4}))
    assert len(drive.dead()) == 5
    assert database.target.count_documents({}) == 95


def test_somebody_else_writes_into_a_fresh_target(drive: Drive, database: Documents) -> None:
    """A fresh target that somebody writes to meanwhile: their record is replaced with a before-image, the
    count does not fit and fails the step, and the way back restores theirs."""
    fill(database, 1000)
    database.create_collection("target")
    seen = 0

    def intrude() -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            database.target.insert_many([{"_id": 990, "theirs": 1}, {"_id": "theirs"}])

    drive.proceed = intrude
    with pytest.raises(StepFailed, match="has 1001 records now, but 1000 were written"):
        drive.run(copy())
    assert database.target.find_one({"_id": 990}, {"text": 0}) == {"_id": 990, "n": 990}
    drive.undo(copy())
    assert list(database.target.find()) == [{"_id": 990, "theirs": 1}, {"_id": "theirs"}]


def test_stopped_and_continued(drive: Drive, database: Documents) -> None:
    """A step that is asked to stop journals what is done without a gap, and goes on from there."""
    fill(database, 3000)

    def stop() -> None:
        if drive.effects > 15:
            raise Stopped

    drive.proceed = stop
    with pytest.raises(Stopped):
        drive.run(copy())
    half = drive.step_state().counts
    assert half is not None
    assert 0 < half.read < 3000
    assert half.balanced
    drive.proceed = lambda: None
    counts = drive.counts(copy())
    assert (counts.read, counts.written, counts.unchanged) == (3000, 3000, 0)
    assert records(drive.records, "target") == records(drive.records, "source")
    assert drive.undo(copy())["deleted"] == 3000
    assert drive.records.collections() == ["source"]


def test_progress_is_told_while_it_runs(drive: Drive, database: Documents) -> None:
    """Live counts rise to the end, and each of them accounts for all that was read."""
    fill(database, 1000)
    drive.run(copy())
    read = [counts.read for counts in drive.progress]
    assert read == sorted(read)
    assert read[-1] == 1000
    assert all(counts.balanced for counts in drive.progress)


def test_verify_finds_what_differs(drive: Drive, database: Documents) -> None:
    """A missing, a changed and an additional record are found; a sample says what it may have missed."""
    fill(database, 1000)
    drive.run(copy())
    assert drive.verify(copy(), "counts", "records")["compared"] == 1000
    half = drive.verify(copy(), "records", sample=50)
    assert 400 < int(str(half["compared"])) < 600
    assert half["chanceToMissOne"] == 0.5
    database.target.update_one({"_id": 5}, {"$set": {"n": "x"}})
    database.target.update_one({"_id": 6}, {"$set": {"n": 6.0}})
    database.target.delete_one({"_id": 7})
    database.target.insert_many([{"_id": "a"}, {"_id": "b"}])
    with pytest.raises(StepFailed) as failed:
        drive.verify(copy(), "counts", "records")
    message = failed.value.message
    assert "4 differences" in message
    assert "m.target has 1001 records, and 1000 should be there" in message
    assert '{"$numberInt":"5"}: another record in m.target: fields n' in message
    assert '{"$numberInt":"6"}: another record in m.target: types or the order of fields' in message
    assert '{"$numberInt":"7"}: not in m.target' in message


def test_many_differences_are_counted_and_a_hundred_named(drive: Drive, database: Documents) -> None:
    """However much differs, the list stays short and the count is right."""
    fill(database, 1000)
    drive.run(copy())
    database.target.delete_many({})
    with pytest.raises(StepFailed, match="1000 differences") as failed:
        drive.verify(copy(), "records")
    path = failed.value.hint.removeprefix("the list is in ")
    with open(path) as file:  # noqa: PTH123
        assert len(file.readlines()) == 100


def test_large_before_images_are_split(drive: Drive, database: Documents) -> None:
    """Before-images that no single document could hold are kept, and restored."""
    fill(database, 8)
    large = [{"_id": number, "blob": bytes([number]) * 5_000_000} for number in range(8)]
    database.target.insert_many(large)
    before = records(drive.records, "target")
    assert drive.counts(copy()).written == 8
    assert drive.undo(copy())["restored"] == 8
    assert records(drive.records, "target") == before


def test_numbers_equal_across_types_are_one_key(drive: Drive, database: Documents) -> None:
    """A key that is 1 here and 1.0 there is one key to MongoDB: replaced, and put back as it was."""
    database.source.insert_many([{"_id": 1, "n": 1}, {"_id": {"a": 2}, "n": 2}])
    database.target.insert_many([{"_id": 1.0, "old": 1}, {"_id": {"a": 2.0}, "old": 2}])
    before = records(drive.records, "target")
    assert drive.counts(copy()).written == 2
    assert records(drive.records, "target") == records(drive.records, "source")
    assert drive.undo(copy())["restored"] == 2
    assert records(drive.records, "target") == before


def test_a_target_with_a_collation(drive: Drive, database: Documents) -> None:
    """Where the target's keys sort in their own way, nothing is told by ranges, and all goes back."""
    database.source.insert_many([{"_id": key} for key in ("B", "a", "C", "d")])
    database.create_collection("target", collation={"locale": "en", "strength": 2})
    assert drive.counts(copy(batchSize=2)).written == 4
    assert drive.undo(copy())["deleted"] == 4
    assert database.target.count_documents({}) == 0


def test_an_interrupted_undo_is_run_again(drive: Drive, database: Documents) -> None:
    """An undo that stops half-way goes on where it was, and lists nothing that is its own doing."""
    fill(database, 1000)
    database.target.insert_many([{"_id": number, "old": number} for number in range(0, 1000, 10)])
    before = records(drive.records, "target")
    drive.run(copy())
    drive.effects = 0

    def stop() -> None:
        if drive.effects > 4:
            raise Stopped

    drive.proceed = stop
    with pytest.raises(Stopped):
        drive.undo(copy())
    drive.proceed = lambda: None
    result = drive.undo(copy())
    assert "changedSince" not in result
    assert records(drive.records, "target") == before
    assert drive.undo(copy())["deleted"] == 0


def test_revise_keeps_what_is_written_in_between(drive: Drive, database: Documents) -> None:
    """A record that changes between the look and the write is looked at again: nobody's write is lost."""
    database.target.insert_many([{"_id": 1, "n": 0}, {"_id": 2, "n": 0}, {"_id": 3, "n": 0}])
    keys = [key_of(bson.encode({"_id": number})) for number in (1, 2, 3, 4)]
    looked: list[int] = []

    def decide(record: bytes) -> bytes | Act:
        found = bson.decode(record)
        looked.append(found["_id"])
        if found["_id"] == 3:
            return Act.LEAVE
        if found["n"] == 0:
            database.target.update_one({"_id": found["_id"]}, {"$set": {"n": 7}})
        return bson.encode({**found, "n": found["n"] + 1}) if found["_id"] == 1 else Act.DELETE

    revised = drive.records.revise("target", keys, decide)
    assert sorted(looked) == [1, 1, 2, 2, 3]
    assert sorted(item.fate for item in revised) == [Fate.DELETED, Fate.LEFT, Fate.REPLACED]
    assert list(database.target.find()) == [{"_id": 1, "n": 8}, {"_id": 3, "n": 0}]
