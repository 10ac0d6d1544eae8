"""Ways to lose a record that were found by trying, each with what must hold instead."""

from __future__ import annotations

import json
import time
from typing import Any

import pymongo
import pytest
from bson import Decimal128, Int64, MaxKey, Timestamp

from tests.runs.driving import Project
from tests.runs.test_apply import snapshot

Client = pymongo.MongoClient[dict[str, Any]]

PLAN = """\
apiVersion: plan/v1
kind: MigrationPlan
metadata: {name: p}
stores:
  old: {type: mongodb, uri: {fromEnv: MONGO_URI}, database: @DB@}
  vectors:
    {type: chromadb, path: embedded:v, embedding: {provider: source, field: vec}, dimension: 64}
phases:
  - id: move
    name: Move
    tasks:
      - {id: copy, action: {bulk: {source: old.source, targets: [old.target], @KEYS@}}}
"""
FAIL = """\
      - {id: last, prerequisites: [copy], action: {command: {run: ["false"], undo: ["true"]}}}
"""
KEYS_TO_ID = "transform: {steps: [{drop: [_id]}, {rename: {key: _id}}]}"


def write(project: Project, keys: str = "batchSize: 100", fail: bool = False) -> None:
    """The plan; the unused vector store is taken out."""
    lines = PLAN.replace("@KEYS@", keys).splitlines(keepends=True)
    text = "".join(line for line in lines if "vectors" not in line and "chromadb" not in line)
    project.write("plan.yaml", text + (FAIL if fail else ""))


def test_a_before_image_larger_than_a_document_is_kept(project: Project, client: Client) -> None:
    """A record so large that its before-image does not fit beside its key is restored all the same."""
    size = 16 * 1024 * 1024 - 30
    client[project.database].source.insert_one({"_id": 1, "b": "y" * size})
    client[project.database].target.insert_one({"_id": 1, "b": "x" * size})
    write(project, fail=True)
    done = project.apply()
    assert done.code == 6, done.err
    found = client[project.database].target.find_one()
    assert found is not None
    assert found["b"][:3] == "xxx"


@pytest.mark.parametrize(
    "point", ["bulk.after-checkpoint:1", "bulk.after-checkpoint:3", "bulk.after-write:2"]
)
def test_the_largest_key_survives_a_resume(project: Project, client: Client, point: str) -> None:
    """A record whose key is MaxKey is read, whatever bound the reading goes on from."""
    client[project.database].source.insert_many([{"_id": k} for k in [0, 1, 2, 3, 4, MaxKey()]])
    client[project.database].target.insert_one({"_id": "foreign"})
    write(project, "batchSize: 2, maxConcurrency: 1")
    assert project.apply(environment={"FORDWAY_CRASH_AT": point}).code == -9
    done = project.apply()
    assert done.code == 0, done.err
    assert (done.step("copy")["read"], done.step("copy")["written"]) == (6, 6)
    assert client[project.database].target.count_documents({}) == 7


@pytest.mark.parametrize("foreign", [True, False])
def test_equal_numbers_are_one_id(project: Project, client: Client, foreign: bool) -> None:
    """Of records whose ids MongoDB takes for equal the first arrives, and the others are dead letters."""
    keys = [5, 5.0, Int64(5), Decimal128("5.00"), 6]
    client[project.database].source.insert_many([{"_id": i, "key": k, "v": i} for i, k in enumerate(keys)])
    if foreign:
        client[project.database].target.insert_one({"_id": "foreign"})
    write(project, f"errorThreshold: 90, {KEYS_TO_ID}")
    done = project.apply()
    assert done.code == 0, done.err
    row = done.step("copy")
    assert (row["read"], row["written"], row["dead"]) == (5, 2, 3)
    assert [d["v"] for d in client[project.database].target.find({"v": {"$exists": True}}).sort("v")] == [
        0,
        4,
    ]
    again = project.apply().step("copy")
    assert (again["written"], again["unchanged"], again["dead"]) == (0, 2, 3)


def test_a_rollback_without_before_images_does_not_claim_anything(project: Project, client: Client) -> None:
    """A run whose before-images went with the retention cannot be taken back, and says so."""
    client[project.database].source.insert_many([{"_id": n} for n in range(10)])
    write(project)
    text = (project.folder / "plan.yaml").read_text()
    (project.folder / "plan.yaml").write_text(text.replace("phases:", "policy: {retention: 0s}\nphases:"))
    run = project.apply().report["run"]
    time.sleep(0.1)
    assert project.apply().code == 0
    done = project.call("rollback", run, "--yes", "--json")
    assert done.code == 8, done.err
    assert "before-images are gone" in done.report["reason"]
    assert client[project.database].target.count_documents({}) == 10


def test_a_killed_rollback_remembers_what_it_left_alone(project: Project, client: Client) -> None:
    """What others changed is still listed when the rollback was killed and gone on with."""
    client[project.database].source.insert_many([{"_id": n, "v": 1} for n in range(30)])
    client[project.database].target.insert_many([{"_id": n, "v": 0} for n in range(30)])
    write(project, "batchSize: 10")
    run = project.apply().report["run"]
    client[project.database].target.update_one({"_id": 25}, {"$set": {"v": 2}})
    killed = project.call("rollback", run, "--yes", environment={"FORDWAY_CRASH_AT": "undo.after-mark:1"})
    assert killed.code == -9
    done = project.call("resume", run, "--json")
    assert done.code == 7, done.err
    assert "25" in json.dumps(done.report["changedSince"])
    assert client[project.database].target.count_documents({"v": 0}) == 29


@pytest.mark.parametrize("count", [3, 700])
def test_values_that_moved_between_records_move_back(project: Project, client: Client, count: int) -> None:
    """Overwritten values of a unique index are restored although each is in the way of the next."""
    target = client[project.database].target
    target.create_index("n", unique=True)
    target.insert_many([{"_id": i, "n": 10_000 - i} for i in range(count)])
    client[project.database].source.insert_many([{"_id": i, "n": 10_001 - i} for i in range(count)])
    before = snapshot(client, project.database)
    write(project, fail=True)
    done = project.apply()
    assert done.code == 6, done.err
    assert snapshot(client, project.database) == before


def test_many_refusals_are_dead_letters(project: Project, client: Client) -> None:
    """Replacements that a validator refuses are dead letters, however many."""
    database = client[project.database]
    database.source.insert_many([{"_id": n, "v": n} for n in range(100)])
    database.target.insert_many([{"_id": n, "v": -1} for n in range(100)])
    database.command("collMod", "target", validator={"v": {"$lt": 70}}, validationLevel="strict")
    write(project, "errorThreshold: 50")
    done = project.apply()
    assert done.code == 0, done.err
    assert (done.step("copy")["written"], done.step("copy")["dead"]) == (70, 30)


def test_an_empty_timestamp_under_an_empty_name_stays(project: Project, client: Client) -> None:
    """The server puts its clock into empty timestamps; a copy does not let it."""
    source = client[project.database].source
    source.insert_one({"_id": 1})
    source.update_one({"_id": 1}, [{"$replaceWith": {"$literal": {"_id": 1, "": Timestamp(0, 0)}}}])
    assert source.find_one() == {"_id": 1, "": Timestamp(0, 0)}
    write(project)
    assert project.apply().code == 0
    assert client[project.database].target.find_one() == {"_id": 1, "": Timestamp(0, 0)}


def test_a_capped_target_is_refused(project: Project, client: Client) -> None:
    """A collection that forgets old records to make room for new ones could not be taken back."""
    client[project.database].create_collection("target", capped=True, size=100_000, max=10)
    client[project.database].target.insert_many([{"_id": -n} for n in range(1, 11)])
    client[project.database].source.insert_many([{"_id": n} for n in range(5)])
    write(project)
    done = project.apply()
    assert done.code == 6
    assert "capped" in done.report["reason"]
    assert client[project.database].target.count_documents({}) == 10


def test_a_changed_vector_is_seen(project: Project, client: Client) -> None:
    """One-hot vectors that differ are written again, and verified."""

    def hot(place: int) -> list[float]:
        return [1.0 if i == place else 0.0 for i in range(64)]

    client[project.database].source.insert_many([{"_id": n, "t": "x", "vec": hot(3)} for n in range(3)])
    text = PLAN.replace(
        "targets: [old.target], @KEYS@",
        "targets: [vectors.target], transform: {content: {type: t, text: t, vector: vec}}",
    )
    project.write(
        "plan.yaml",
        text + "    validation: [{step: v, description: d, expected: e, action: "
        "{verify: {task: copy, checks: [vectors]}}}]\n",
    )
    first = project.apply()
    assert first.code == 0, first.err
    client[project.database].source.update_many({}, {"$set": {"vec": hot(0)}})
    second = project.apply()
    assert second.code == 0, second.err
    assert (second.step("copy")["written"], second.step("copy")["unchanged"]) == (3, 0)


def test_functions_that_leave_the_process_fail_their_step(project: Project, client: Client) -> None:
    """sys.exit in a user's function is a failure like any other: told, and taken back."""
    client[project.database].source.insert_many([{"_id": n, "t": "x"} for n in range(3)])
    project.write("embed.py", "import sys\n\ndef embed(texts):\n    sys.exit(0)\n")
    text = PLAN.replace(
        "{provider: source, field: vec}", "{provider: python, function: ./embed.py:embed, dimension: 64}"
    )
    text = text.replace(
        "targets: [old.target], @KEYS@", "targets: [vectors.target], transform: {content: {type: t, text: t}}"
    )
    project.write("plan.yaml", text)
    done = project.apply()
    assert done.code == 6, done.err
    assert "SystemExit" in done.report["reason"]


def test_supersede_ends_the_earlier_run(project: Project, client: Client) -> None:
    """A run that was left behind does not stand in the way of the next apply."""
    client[project.database].source.insert_many([{"_id": n} for n in range(3)])
    write(project)
    assert project.apply(environment={"FORDWAY_CRASH_AT": "step.after-intent"}).code == -9
    write(project, "batchSize: 7")
    assert project.apply().code == 8
    assert project.apply("--supersede").code == 0
    assert project.apply().code == 0
    states = [row["status"] for row in project.call("status", "--json").report["runs"]]
    assert states == ["superseded", "completed", "completed"]
