"""MongoDB as a store: facts, readers, writers, undo logs, leases, and its errors in words."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest
from bson import Int64
from pymongo.database import Database

from compiler.model.plan import StoreSpec
from executor.contract import StoreRefused, StoreUnavailable, TargetsLocked
from executor.stores.bson_key import key_of
from executor.stores.mongodb.store import MongoStore
from executor.stores.port import KeyRange, RecordStore, Refused, Source, Store, VectorStore
from executor.stores.registry import open_store

Documents = Database[dict[str, Any]]


@pytest.fixture
def database(mongod: str) -> Iterator[Documents]:
    """An empty database, dropped in the end."""
    with pymongo.MongoClient[dict[str, Any]](mongod) as client:
        name = "t" + uuid.uuid4().hex[:10]
        yield client[name]
        client.drop_database(name)


def opened(uri: str, database: str, folder: Path) -> MongoStore:
    """A store as the plan calls it ``m``."""
    spec = StoreSpec(type="mongodb", options={"uri": uri, "database": database})
    store = open_store("m", spec, base=folder, state=folder / ".plan")
    assert isinstance(store, MongoStore)
    return store


@pytest.fixture
def store(mongod: str, database: Documents, tmp_path: Path) -> Iterator[MongoStore]:
    """The store over that database."""
    found = opened(mongod, database.name, tmp_path)
    yield found
    found.close()


def read(source: Source, after: bytes | None = None, until: bytes | None = None) -> list[int]:
    """The keys that a source gives."""
    return [bson.decode(record)["_id"] for batch in source.read(after, until) for record in batch.records]


def test_it_is_a_store_of_records(store: MongoStore) -> None:
    """It has what the port asks of a store of records, and is none of vectors."""
    assert isinstance(store, Store)
    assert isinstance(store, RecordStore)
    assert not isinstance(store, VectorStore)
    store.ping()


def test_facts(store: MongoStore, database: Documents) -> None:
    """What a collection is: its exact count, its options, its indexes with their keys in order."""
    assert not store.facts("things").exists
    assert store.count("things") == 0
    store.create("things", {"validator": {"n": {"$type": "int"}}, "validationLevel": "moderate"})
    database.things.insert_many([{"_id": number, "n": number} for number in range(10)])
    name = store.create_index("things", [("z", -1), ("a", 1), ("t", "text")], {"sparse": True})
    facts = store.facts("things")
    assert (facts.exists, facts.count, facts.ordered, facts.view, facts.empty) == (
        True,
        10,
        True,
        False,
        False,
    )
    assert facts.options["validationLevel"] == "moderate"
    [index] = facts.indexes
    assert index["name"] == name
    assert index["keys"] == [["z", -1], ["a", 1], ["_fts", "text"], ["_ftsx", 1]]
    assert store.count("things", {"n": {"$gte": {"$numberInt": "8"}}}) == 2
    assert store.create_index("things", [("z", -1), ("a", 1), ("t", "text")], {"sparse": True}) == name
    store.drop_index("things", name)
    store.drop_index("things", name)
    assert store.facts("things").indexes == ()
    with pytest.raises(StoreRefused, match="already exists"):
        store.create("things")
    store.drop("things")
    store.drop("things")
    assert store.collections() == []


def test_reading_from_any_key(store: MongoStore, database: Documents) -> None:
    """A source goes on after any batch and ends before any, and its batches keep to their limits."""
    database.things.insert_many([{"_id": number, "pad": "x" * 100} for number in range(95)])
    source = store.source("things", batch_records=10)
    assert source.keyed
    assert source.unique
    batches = list(source.read(None))
    assert [len(batch.records) for batch in batches] == [10] * 9 + [5]
    assert read(source) == list(range(95))
    assert read(source, after=batches[3].resume) == list(range(40, 95))
    assert read(source, after=batches[3].resume, until=batches[4].resume) == list(range(40, 49))
    assert read(source, until=batches[0].resume) == list(range(9))
    assert read(source, after=batches[3].resume, until=batches[3].resume) == []
    small = store.source("things", batch_records=1000, batch_bytes=1000)
    sizes = [batch.size for batch in small.read(None)]
    assert max(sizes) < 1200
    assert sum(sizes) == sum(batch.size for batch in batches)


def test_reading_after_a_key_that_is_gone(store: MongoStore, database: Documents) -> None:
    """A record that was the last of a batch may be deleted; reading goes on after where it was."""
    database.things.insert_many([{"_id": number} for number in range(20)])
    source = store.source("things", batch_records=5)
    first = next(iter(source.read(None)))
    database.things.delete_one({"_id": 4})
    assert read(source, after=first.resume) == list(range(5, 20))


def test_reading_large_records(store: MongoStore, database: Documents) -> None:
    """Records of many megabytes come one or two at a time."""
    database.things.insert_many([{"_id": number, "blob": bytes(6_000_000)} for number in range(4)])
    sizes = [len(batch.records) for batch in store.source("things").read(None)]
    assert sizes == [1, 1, 1, 1]


def test_a_view_with_a_key_twice(store: MongoStore, database: Documents) -> None:
    """Of a view that repeats a key, no record is lost where reading goes on between batches."""
    database.things.insert_many([{"_id": number, "parts": list(range(7))} for number in range(5)])
    database.command({"create": "parts", "viewOn": "things", "pipeline": [{"$unwind": "$parts"}]})
    source = store.source("parts", batch_records=5)
    assert not source.unique
    batches = list(source.read(None))
    assert [len(batch.records) for batch in batches] == [7] * 5
    assert len(read(source, after=batches[1].resume)) == 21
    assert len(read(source, until=batches[1].resume)) == 7
    assert store.facts("parts").view


def test_a_filter_that_is_none(store: MongoStore) -> None:
    """A filter that is not extended JSON, or that the server refuses, is told as such."""
    with pytest.raises(StoreRefused, match="not extended JSON"):
        store.source("things", where={"_id": {"$oid": "nonsense"}})
    with pytest.raises(StoreRefused, match=r"unknown (top level )?operator"):
        store.count("things", {"n": {"$nonsense": 1}})


def test_fetching(store: MongoStore, database: Documents) -> None:
    """Records by keys and by ranges, thousands at a time."""
    database.things.insert_many([{"_id": number} for number in range(5000)])
    keys = [key_of(bson.encode({"_id": number})) for number in range(4000, 6000)]
    assert len(store.fetch("things", keys)) == 1000
    assert store.fetch("nothing", keys) == []
    found = [
        record
        for part in store.fetch_range("things", KeyRange(first=keys[0], last=keys[900]))
        for record in part
    ]
    assert [bson.decode(record)["_id"] for record in found] == list(range(4000, 4901))
    one = store.fetch_range("things", KeyRange(first=keys[3], last=keys[3]))
    assert [len(part) for part in one] == [1]
    assert list(store.fetch_range("nothing", KeyRange(first=keys[0], last=keys[1]))) == []


def test_inserting_what_can_be_inserted(store: MongoStore, database: Documents) -> None:
    """Each refused record is told with its kind; all others are there."""
    database.command({"create": "things", "validator": {"n": {"$type": "int"}}})
    database.things.create_index("n", unique=True)
    database.things.insert_one({"_id": 1, "n": 1})
    deep: dict[str, object] = {}
    for _ in range(190):
        deep = {"a": deep}
    refused = store.insert(
        "things",
        [
            bson.encode({"_id": 1, "n": 10}),
            bson.encode({"_id": 2, "n": 1}),
            bson.encode({"_id": 3, "n": "x"}),
            bson.encode({"_id": 4, "n": 4}),
            bson.encode({"_id": 5, "n": 5, "blob": bytes(17_000_000)}),
            bson.encode({"_id": 6, "n": 6, "deep": deep}),
            bson.encode({"_id": [7], "n": 7}),
            bson.encode({"_id": 8, "n": 8}),
        ],
    )
    assert {item.index: item.kind for item in refused} == {
        0: Refused.DUPLICATE_ID,
        1: Refused.DUPLICATE_VALUE,
        2: Refused.INVALID,
        4: Refused.TOO_LARGE,
        5: Refused.INVALID,
        6: Refused.INVALID,
    }
    assert sorted(database.things.distinct("_id")) == [1, 4, 8]


def test_a_broken_record_is_found_by_halving(store: MongoStore, database: Documents) -> None:
    """Bytes that are no BSON make the server refuse the whole batch; only they are refused in the end."""
    broken = bytearray(bson.encode({"_id": 50, "x": 1}))
    broken[13] = 0x99
    good = [bson.encode({"_id": number, "x": 1}) for number in range(100)]
    records = [*good[:50], bytes(broken), *good[51:]]
    [refusal] = store.insert("things", records)
    assert (refusal.index, refusal.kind) == (50, Refused.INVALID)
    assert database.things.count_documents({}) == 99


def test_inserting_more_than_a_message_holds(store: MongoStore, database: Documents) -> None:
    """Records that are too many bytes for one command go in several."""
    records = [bson.encode({"_id": number, "blob": bytes(5_000_000)}) for number in range(10)]
    assert store.insert("things", records) == []
    assert database.things.count_documents({}) == 10


def test_writing_to_a_view_is_refused(store: MongoStore, database: Documents) -> None:
    """What concerns the collection, not a record, is an error and no dead letters."""
    database.command({"create": "seen", "viewOn": "things", "pipeline": []})
    with pytest.raises(StoreRefused, match="is a view"):
        store.insert("seen", [bson.encode({"_id": 1})])


def test_undo_logs(store: MongoStore, database: Documents) -> None:
    """Entries come back newest first, one number replaces itself, steps and runs do not mix, and the
    user's database holds nothing of it."""
    run = uuid.uuid4().hex[:8]
    log, other = store.undo_log(run, "copy"), store.undo_log(run, "copy-more")
    for number in (0, 7, 65_536, 7):
        log.put(number, bson.encode({"number": number}))
    other.put(1, bson.encode({}))
    assert log.newest_first() == [65_536, 7, 0]
    assert other.newest_first() == [1]
    assert bson.decode(log.get(7)) == {"number": 7}
    with pytest.raises(KeyError):
        log.get(8)
    assert store.undo_runs()[run] > 0
    store.drop_undo(run)
    assert run not in store.undo_runs()
    assert database.list_collection_names() == []


def test_leases(store: MongoStore) -> None:
    """A lease is one's own until it ends, is given up or stolen from the dead; its token only rises."""
    home = store.lease_home()
    target = store.lease_target("things") + uuid.uuid4().hex
    ada = {"run": "ada", "pid": 1, "host": "here"}
    bob = {"run": "bob", "pid": 2, "host": "there"}
    first = home.acquire(target, ada, 30, lambda _: False)
    with pytest.raises(TargetsLocked, match=r"run ada \(pid 1 on here\), for (29|30) s more"):
        home.acquire(target, bob, 30, lambda _: False)
    held = {name: (owner["run"], left) for name, owner, left in home.holders()}
    assert held[target][0] == "ada"
    assert 25 < held[target][1] <= 30
    assert home.renew(target, first, 30)
    stolen = home.acquire(target, bob, 0.3, lambda owner: owner["run"] == "ada")
    assert stolen > first
    assert not home.renew(target, first, 30)
    home.release(target, first)
    assert home.renew(target, stolen, 0.2)
    time.sleep(0.4)
    third = home.acquire(target, ada, 30, lambda _: False)
    assert third > stolen
    home.release(target, third)
    assert not home.renew(target, third, 30)
    assert target not in {name for name, _, _ in home.holders()}
    assert home.acquire(target, bob, 1, lambda _: False) > third


def test_one_of_many_gets_the_lease(store: MongoStore) -> None:
    """However many ask at once for a lease that nobody ever had, one gets it."""
    home = store.lease_home()
    target = "race." + uuid.uuid4().hex
    got: list[int] = []
    refused: list[TargetsLocked] = []
    gate = threading.Barrier(8)

    def ask(number: int) -> None:
        gate.wait()
        try:
            got.append(home.acquire(target, {"run": f"run {number}"}, 30, lambda _: False))
        except TargetsLocked as error:
            refused.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (got, len(refused)) == ([1], 7)


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """Nobody at the address: unavailable, in one line without the password."""
    store = opened("mongodb://ada:hunter2@127.0.0.1:9/", "db", tmp_path)
    with pytest.raises(StoreUnavailable) as failed:
        store.ping()
    assert "no MongoDB server answered within 5 s: 127.0.0.1:9" in failed.value.message
    assert "hunter2" not in failed.value.message
    assert "\n" not in failed.value.message
    store.close()


def test_credentials_that_are_refused(mongod: str, tmp_path: Path) -> None:
    """A wrong password is a refusal, not something to try again, and is not shown."""
    uri = mongod.replace("mongodb://", "mongodb://ada:hunter2@")
    store = opened(uri, "db", tmp_path)
    with pytest.raises(StoreRefused, match="refused the credentials") as failed:
        store.ping()
    assert "hunter2" not in str(failed.value)
    store.close()


@pytest.mark.parametrize(
    "uri", ["mongodb://ada:hun@ter2@host/", "nonsense", "mongodb://", "mongodb://h:99999"]
)
def test_a_uri_that_is_none(tmp_path: Path, uri: str) -> None:
    """A broken URI is refused when the store is opened, without its credentials."""
    with pytest.raises(StoreRefused, match="URI cannot be used") as failed:
        opened(uri, "db", tmp_path)
    assert "ter2" not in failed.value.message


def test_secrets_and_missing_options(mongod: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URI may come from the environment or a file; a database must be named; kinds are listed."""
    monkeypatch.setenv("THE_URI", mongod)
    (tmp_path / "uri").write_text(mongod + "\n")
    for given in ({"fromEnv": "THE_URI"}, {"fromFile": "uri"}):
        spec = StoreSpec(type="mongodb", options={"uri": given, "database": "db"})
        store = open_store("m", spec, base=tmp_path, state=tmp_path)
        store.ping()
        store.close()
    with pytest.raises(StoreRefused, match="names no database"):
        open_store("m", StoreSpec(type="mongodb", options={"uri": mongod}), base=tmp_path, state=tmp_path)
    with pytest.raises(StoreRefused, match="no kind of store 'oracle'") as failed:
        open_store("m", StoreSpec(type="oracle"), base=tmp_path, state=tmp_path)
    assert failed.value.hint == "known are chromadb, mongodb"


def test_counting_is_exact(store: MongoStore, database: Documents) -> None:
    """Also of a clustered collection, a capped one and a view, which have no usual index of keys."""
    database.command({"create": "clustered", "clusteredIndex": {"key": {"_id": 1}, "unique": True}})
    database.command({"create": "capped", "capped": True, "size": 100_000})
    database.command({"create": "seen", "viewOn": "clustered", "pipeline": []})
    for name in ("clustered", "capped"):
        database[name].insert_many([{"_id": Int64(number)} for number in (3, 1, 2)])
    assert [store.count(name) for name in ("clustered", "capped", "seen")] == [3, 3, 3]
    assert [read(store.source(name)) for name in ("clustered", "capped", "seen")] == [[1, 2, 3]] * 3
