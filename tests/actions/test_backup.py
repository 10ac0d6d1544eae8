"""Backups: whole or not there, exact, never over another one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pymongo
import pytest

from compiler.model.plan import JsonObject, Step, Verdict
from compiler.model.run import Counts
from executor.actions.backup import BackupRunner
from executor.contract import Context, FordwayError, Outcome, StepFailed, Stopped
from executor.stores.files.dump import check_file, read_manifest
from executor.stores.port import VectorRecords, VectorStore
from executor.stores.registry import OpenStores

MakeContext = Callable[..., Context]
MakeStep = Callable[..., Step]
Database = pymongo.database.Database[dict[str, Any]]

NOTES = {"store": "db", "collection": "notes"}


def params(*collections: str, to: str | None = None, store: str = "db") -> dict[str, object]:
    return {"sources": [{"store": store, "collection": name} for name in collections], "to": to}


def back_up(it: Step, here: Context) -> Outcome:
    runner = BackupRunner()
    return runner.run(it, here, runner.prepare(it, here))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_records_are_kept_byte_for_byte(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """A collection's file holds its documents in the order of their keys, and the manifest what else it
    takes to make it again."""
    documents = [{"_id": i, "x": bson.Int64(i), "t": "é" * i} for i in (3, 1, 2)]
    documents.append({"_id": "a", "b": bson.Binary(b"x", 2)})
    database.create_collection("notes", validator={"t": {"$exists": True}}, validationLevel="off")
    database.notes.insert_many(documents)
    database.notes.create_index({"t": 1, "x": -1}, name="by-t", unique=True)
    here = context(stores=stores)
    told: list[Counts] = []
    outcome = back_up(step("backup", params("notes")), context(stores=stores, progress=told.append))
    folder = here.state / "backups" / here.run / "the-step"
    assert outcome.result["folder"] == str(folder)
    data = gzip.decompress((folder / "db.notes.bson.gz").read_bytes())
    assert data == b"".join(bson.encode(documents[i]) for i in (1, 2, 0, 3))
    assert told[-1] == outcome.counts == Counts(read=4, written=4, bytes=len(data))
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.complete
    [entry] = manifest.entries
    assert (entry.exists, entry.count, entry.bytes, entry.type) == (True, 4, len(data), "mongodb")
    assert entry.sha256 == hashlib.sha256((folder / "db.notes.bson.gz").read_bytes()).hexdigest()
    assert entry.options["validator"] == {"t": {"$exists": True}}
    [index] = entry.indexes
    assert index["keys"] == [["t", 1], ["x", -1]]
    assert index["unique"] is True


def test_result_is_plain_json(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """Outcome and facts can be journalled."""
    database.notes.insert_one({"_id": 1})
    it, here = step("backup", params("notes", "away")), context(stores=stores)
    assert json.loads(json.dumps(BackupRunner().prepare(it, here))) == BackupRunner().prepare(it, here)
    assert json.loads(json.dumps(back_up(it, here).result)) == back_up(it, here).result


def test_absent_collection_view_and_empty_one(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """What does not exist is recorded as absent, a view as a view, and an empty collection has an empty
    file."""
    database.create_collection("nothing-in-it")
    database.create_collection("seen", viewOn="nothing-in-it", pipeline=[])
    it = step("backup", params("away", "nothing-in-it", "seen", to="kept"))
    back_up(it, context(stores=stores))
    manifest = read_manifest(context().base / "kept")
    assert manifest is not None
    found = [(entry.collection, entry.exists, entry.view, entry.file) for entry in manifest.entries]
    assert found == [
        ("away", False, False, ""),
        ("nothing-in-it", True, False, "db.nothing-in-it.bson.gz"),
        ("seen", True, True, ""),
    ]
    assert gzip.decompress((context().base / "kept" / "db.nothing-in-it.bson.gz").read_bytes()) == b""


def test_same_content_gives_same_bytes(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """Two backups of one state are the same files."""
    database.notes.insert_many([{"_id": i} for i in range(100)])
    for name in ("one", "two"):
        back_up(step("backup", params("notes", to=name)), context(stores=stores))
    base = context().base
    assert snapshot(base / "one")["db.notes.bson.gz"] == snapshot(base / "two")["db.notes.bson.gz"]


def test_finished_backup_is_not_done_again(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """A backup is of the moment when it was made: the same step of the same run leaves it alone."""
    database.notes.insert_one({"_id": 1})
    it, here = step("backup", params("notes", to="kept")), context(stores=stores)
    assert BackupRunner().probe(it, here, {}) is Verdict.ABSENT
    first = back_up(it, here)
    kept = snapshot(here.base / "kept")
    database.notes.insert_one({"_id": 2})
    assert back_up(it, here) == first
    assert snapshot(here.base / "kept") == kept
    assert BackupRunner().probe(it, here, {}) is Verdict.APPLIED


def test_another_runs_backup_is_not_overwritten(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """The backup of an earlier run, perhaps the only good one, is not replaced."""
    database.notes.insert_one({"_id": 1})
    it = step("backup", params("notes", to="kept"))
    back_up(it, context(stores=stores, run="first"))
    kept = snapshot(context().base / "kept")
    with pytest.raises(StepFailed, match="holds the backup of step 'the-step' of run first") as caught:
        back_up(it, context(stores=stores, run="second"))
    assert caught.value.verdict is Verdict.ABSENT
    assert snapshot(context().base / "kept") == kept
    assert BackupRunner().probe(it, context(stores=stores, run="second"), {}) is Verdict.ABSENT


def test_foreign_folder_is_left_alone(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """A folder with other things in it, or a file in its place, is no place for a backup."""
    base = context().base
    database.notes.insert_one({"_id": 1})
    (base / "full").mkdir()
    (base / "full" / "thesis.txt").write_text("years of work")
    (base / "file").write_text("")
    (base / "other").mkdir()
    (base / "other" / "manifest.json").write_text('{"name": "web app"}')
    for name, told in (
        ("full", "it holds thesis.txt"),
        ("file", "Not a dir"),
        ("other", "no backup's manifest"),
    ):
        with pytest.raises(StepFailed, match=told):
            back_up(step("backup", params("notes", to=name)), context(stores=stores))
    assert snapshot(base / "full") == {"thesis.txt": b"years of work"}


def test_interrupted_backup_goes_on(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """A backup that was stopped keeps the files that are whole and makes the rest."""
    database.one.insert_many([{"_id": i} for i in range(10)])
    database.two.insert_many([{"_id": i} for i in range(10)])
    it = step("backup", params("one", "two", to="kept"))
    asked = iter([None])

    def proceed() -> None:
        if next(asked, Stopped) is Stopped:
            raise Stopped

    with pytest.raises(Stopped):
        back_up(it, context(stores=stores, proceed=proceed))
    folder = context().base / "kept"
    assert sorted(snapshot(folder)) == ["db.one.bson.gz", "manifest.json"]
    assert BackupRunner().probe(it, context(stores=stores), {}) is Verdict.RESUMABLE
    (folder / "db.two.bson.gz.partial").write_bytes(b"what a kill leaves")
    first = snapshot(folder)["db.one.bson.gz"]
    counts = back_up(it, context(stores=stores)).counts
    assert counts is not None
    assert counts.read == 20
    assert sorted(snapshot(folder)) == ["db.one.bson.gz", "db.two.bson.gz", "manifest.json"]
    assert snapshot(folder)["db.one.bson.gz"] == first


def test_undo_keeps_the_backup(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """Taking a run back does not take its backups."""
    database.notes.insert_one({"_id": 1})
    it, here = step("backup", params("notes", to="kept")), context(stores=stores)
    back_up(it, here)
    kept = snapshot(here.base / "kept")
    assert BackupRunner().undo(it, here, {}) == Outcome()
    assert snapshot(here.base / "kept") == kept


def test_names_of_collections_are_no_paths(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """A collection may have a name that would lead elsewhere, or be too long for a file's."""
    names = ["/etc/passwd", "a/b", "ä" * 60, "a%2Fb", "~"]
    for name in names:
        database[name].insert_one({"_id": name})
    back_up(step("backup", params(*names, to="kept")), context(stores=stores))
    manifest = read_manifest(context().base / "kept")
    assert manifest is not None
    assert len({entry.file for entry in manifest.entries}) == len(names)
    for entry in manifest.entries:
        data = gzip.decompress((context().base / "kept" / entry.file).read_bytes())
        assert bson.decode(data) == {"_id": entry.collection}


def test_vectors_are_kept_bit_for_bit(stores: OpenStores, context: MakeContext, step: MakeStep) -> None:
    """A vector collection's lines hold ids, the vectors' float32 bits, metadata and documents."""
    store = stores.open("vectors")
    assert isinstance(store, VectorStore)
    store.create("content", metric="l2", dimension=4, embedding="source/v-4")
    rows = np.array([[0.1, -2.5, 3e-7, 4], [1, 2, 3, 4]], dtype=np.float32)
    store.add(
        "content",
        VectorRecords(
            ids=["b", "a"],
            vectors=rows,
            metadatas=[{"n": 1, "f": 0.1, "tags": ["x", "ÿ"]}, None],
            documents=["text\n", None],
        ),
    )
    it = step("backup", params("content", "away", store="vectors", to="kept"))
    counts = back_up(it, context(stores=stores)).counts
    assert counts is not None
    assert counts.read == 2
    manifest = read_manifest(context().base / "kept")
    assert manifest is not None
    entry, away = manifest.entries
    assert (entry.metric, entry.dimension, entry.embedding, entry.count) == ("l2", 4, "source/v-4", 2)
    assert not away.exists
    lines = gzip.decompress((context().base / "kept" / entry.file).read_bytes()).splitlines()
    first, second = map(json.loads, lines)
    assert first == {"id": "a", "vector": base64.b64encode(rows[1].tobytes()).decode()}
    assert base64.b64decode(second.pop("vector")) == rows[0].tobytes()
    assert second == {"id": "b", "metadata": {"n": 1, "f": 0.1, "tags": ["x", "ÿ"]}, "document": "text\n"}


def test_store_that_is_away(context: MakeContext, step: MakeStep) -> None:
    """A store that cannot be reached leaves no manifest that claims to be whole."""
    from compiler.model.plan import StoreSpec

    options: JsonObject = {"uri": "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=50", "database": "x"}
    opened = OpenStores({"db": StoreSpec(type="mongodb", options=options)}, base=Path(), state=Path())
    it, here = step("backup", params("notes", to="kept")), context(stores=opened)
    with pytest.raises(FordwayError) as caught:
        back_up(it, here)
    assert caught.value.transient
    assert BackupRunner().probe(it, here, {}) is Verdict.RESUMABLE
    opened.close_all()


def test_full_disk(
    mongod: str, database: Database, context: MakeContext, step: MakeStep, stores: OpenStores
) -> None:
    """A disk that is full is told, the half file is gone, and the backup can be made once there is room."""
    database.small.insert_one({"_id": 1})
    database.large.insert_many([{"_id": i, "x": os.urandom(1000)} for i in range(300)])
    script = f"""
        import resource, signal
        from pathlib import Path
        from compiler.model.plan import Step, StoreSpec
        from executor.actions.backup import BackupRunner
        from executor.contract import Context, StepFailed
        from executor.stores.registry import OpenStores
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        spec = StoreSpec(type="mongodb", options={{"uri": {mongod!r}, "database": {database.name!r}}})
        stores = OpenStores({{"db": spec}}, base=Path(), state=Path())
        sources = [{{"store": "db", "collection": name}} for name in ("small", "large")]
        step = Step(id="the-step", kind="backup", params={{"sources": sources, "to": "kept"}})
        nothing = lambda *_: None
        context = Context(
            run={context().run!r}, key="", attempt=1, base=Path(), state=Path(), folder=Path(), stores=stores,
            journal=None, undo_log=None, progress=nothing, proceed=nothing, prepared_of=nothing,
            counts_of=nothing, is_dead=nothing,
        )
        try:
            BackupRunner().run(step, context, {{}})
        except StepFailed as error:
            print(error.message)
        stores.close_all()
    """
    base = context().base
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=base,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert told.stdout.endswith("db.large.bson.gz cannot be written: File too large\n")
    assert sorted(snapshot(base / "kept")) == ["db.small.bson.gz", "manifest.json"]
    back_up(step("backup", params("small", "large", to="kept")), context(stores=stores))
    manifest = read_manifest(base / "kept")
    assert manifest is not None
    assert manifest.complete
    for entry in manifest.entries:
        check_file(base / "kept", entry)


def test_changed_backup_file_is_noticed(
    database: Database, stores: OpenStores, context: MakeContext, step: MakeStep
) -> None:
    """A backup whose file is not the one that was written is not used."""
    database.notes.insert_many([{"_id": i} for i in range(100)])
    back_up(step("backup", params("notes", to="kept")), context(stores=stores))
    folder = context().base / "kept"
    manifest = read_manifest(folder)
    assert manifest is not None
    path = folder / manifest.entries[0].file
    check_file(folder, manifest.entries[0])
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(StepFailed, match="was changed or damaged since it was written"):
        check_file(folder, manifest.entries[0])
    path.unlink()
    with pytest.raises(StepFailed, match="cannot be read: No such file"):
        check_file(folder, manifest.entries[0])


MANIFESTS = {
    "no JSON": "{",
    "no object": "[1]",
    "another format": '{"format": 99, "run": "r", "step": "s"}',
    "a field too many": '{"format": 1, "run": "r", "step": "s", "extra": 1}',
    "a path": '{"format": 1, "run": "r", "step": "s", "entries": [{"store": "a", "collection": "b",'
    ' "type": "mongodb", "exists": true, "file": "../../etc/passwd"}]}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest_that_is_none(tmp_path: Path, name: str) -> None:
    """A manifest from elsewhere is refused in words, and names no file outside its folder."""
    (tmp_path / "manifest.json").write_text(MANIFESTS[name])
    with pytest.raises(StepFailed) as caught:
        read_manifest(tmp_path)
    assert caught.value.verdict is Verdict.ABSENT
