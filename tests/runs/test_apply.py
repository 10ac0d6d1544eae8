"""Plans applied to real stores: forward, again, and back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import Any

import pymongo
import pytest

from tests.runs.driving import Project, statuses

Client = pymongo.MongoClient[dict[str, Any]]

PLAN = """\
apiVersion: plan/v1
kind: MigrationPlan
metadata: {name: small}
stores:
  old: {type: mongodb, uri: {fromEnv: MONGO_URI}, database: @DB@}
  new: {type: mongodb, uri: {fromEnv: MONGO_URI}, database: @DB@}
phases:
  - id: move
    name: Move
    tasks:
      - id: prepare
        action:
          provision:
            collections: [{target: new.target, indexes: [{keys: {n: 1}, name: by-n}]}]
      - id: copy
        prerequisites: [prepare]
        action: {bulk: {source: old.source, targets: [new.target], batchSize: 100}}
      - id: last
        prerequisites: [copy]
        action: {command: {run: @LAST@, undo: ["true"]}}
    validation:
      - {step: check, description: all there, expected: equal, action: {verify: {task: copy}}}
"""


def write(project: Project, last: str = '["true"]') -> None:
    """The plan, ending in a command."""
    project.write("plan.yaml", PLAN.replace("@LAST@", last))


def fill(client: Client, database: str, count: int = 1000) -> None:
    """A source with that many documents."""
    client[database].source.insert_many([{"_id": n, "n": n, "text": "x" * (n % 50)} for n in range(count)])


def snapshot(client: Client, database: str) -> dict[str, Any]:
    """Everything in a database: documents as bytes in order, indexes, collections."""
    found: dict[str, Any] = {}
    for name in sorted(client[database].list_collection_names()):
        collection = client[database][name]
        documents = [bytes(batch) for batch in collection.find_raw_batches().sort("_id", 1)]
        found[name] = (documents, dict(collection.index_information()))
    return found


def test_apply_twice(project: Project, client: Client) -> None:
    """The first apply copies everything and verifies it; the second reads everything and writes nothing."""
    fill(client, project.database)
    write(project)
    first = project.apply()
    assert first.code == 0, first.err
    assert first.report["status"] == "completed"
    assert first.report["trigger"] is None
    assert first.report["rollback"] is None
    row = first.step("copy")
    assert (row["read"], row["written"], row["unchanged"], row["filtered"], row["dead"]) == (
        1000,
        1000,
        0,
        0,
        0,
    )
    assert row["seconds"] > 0
    source, target = client[project.database].source, client[project.database].target
    assert list(source.find().sort("_id")) == list(target.find().sort("_id"))
    start = client.admin.command("hello")["lastWrite"]["opTime"]["ts"]
    second = project.apply()
    row = second.step("copy")
    assert (row["read"], row["written"], row["unchanged"]) == (1000, 0, 1000)
    assert second.report["run"] != first.report["run"]
    ours = {"$regex": f"^({project.database}[.]|fordway[.]undo_{second.report['run']})"}
    written = list(client.local["oplog.rs"].find({"ts": {"$gt": start}, "ns": ours}))
    assert written == []


def test_failure_restores_exactly(project: Project, client: Client) -> None:
    """A step that fails after the copy takes the run back: created documents, overwritten ones, the new
    index and the untouched ones are what they were, and the graph of the way back was emitted."""
    fill(client, project.database)
    target = client[project.database].target
    target.insert_many([{"_id": n, "old": True} for n in (5, 500, 5000)])
    target.insert_one({"_id": 7, "n": 7, "text": "x" * 7})
    before = snapshot(client, project.database)
    write(project, '["sh", "-c", "echo no good; exit 3"]')
    done = project.apply()
    assert done.code == 6, done.err
    assert done.report["status"] == "rolled_back"
    assert "no good" in done.report["reason"]
    assert snapshot(client, project.database) == before
    graph = json.loads((project.folder / done.report["rollback"]).read_text())
    assert graph["kind"] == "CompiledRollback"
    folder = (project.folder / done.report["rollback"]).parent
    assert {"rollback.txt", "rollback.svg", "rollback.mmd", "rollback.dot"} <= {
        p.name for p in folder.iterdir()
    }
    assert "undo:copy" in [item["id"] for item in done.report["rollbackSteps"]]


def test_rollback_of_a_completed_run_leaves_others_writes_alone(project: Project, client: Client) -> None:
    """What others changed or added after the migration is listed, not destroyed; the rest goes back."""
    fill(client, project.database)
    write(project)
    run = project.apply().report["run"]
    target = client[project.database].target
    target.update_one({"_id": 3}, {"$set": {"edited": True}})
    target.insert_one({"_id": "new", "mine": 1})
    dry = project.call("rollback", run, "--dry-run")
    assert dry.code == 0
    assert "copy" in dry.out
    assert target.count_documents({}) == 1001
    done = project.call("rollback", run, "--yes", "--json")
    assert done.code == 7, done.err
    assert done.report["status"] == "rolled_back_with_warnings"
    assert {item["_id"] for item in target.find()} == {3, "new"}
    assert "3" in json.dumps(done.report["changedSince"])


def test_rollback_emit_writes_the_graph_only(project: Project, client: Client) -> None:
    """--emit writes the graph and its drawings, and changes no store."""
    fill(client, project.database)
    write(project)
    run = project.apply().report["run"]
    before = snapshot(client, project.database)
    done = project.call("rollback", run, "--emit", "out")
    assert done.code == 0, done.err
    assert (
        json.loads((project.folder / "out" / "rollback.compiled.json").read_text())["kind"]
        == "CompiledRollback"
    )
    assert snapshot(client, project.database) == before
    assert project.call("rollback", run, "--yes", "--json").code == 0
    assert set(snapshot(client, project.database)) == {"source"}


def test_hold(project: Project, client: Client) -> None:
    """With onFailure: hold the run stops where it is; a person resumes it or takes it back."""
    fill(client, project.database, 10)
    write(project, '["test", "-e", "ready"]')
    text = (project.folder / "plan.yaml").read_text()
    (project.folder / "plan.yaml").write_text(text.replace("phases:", "policy: {onFailure: hold}\nphases:"))
    done = project.apply()
    assert done.code == 8
    assert done.report["status"] == "failed"
    assert client[project.database].target.count_documents({}) == 10
    (project.folder / "ready").write_text("")
    resumed = project.call("resume", done.report["run"], "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.step("copy")["attempts"] == 1


MANUAL = """\
apiVersion: plan/v1
kind: MigrationPlan
metadata: {name: manual}
stores: {}
phases:
  - id: one
    name: One
    tasks:
      - id: switch
        action: {manual: {instructions: Pull the big lever, undo: Push it back}}
      - id: after
        prerequisites: [switch]
        action: {command: {run: [touch, done], undo: [rm, -f, done], safeWhenAbsent: true}}
"""


def test_manual_step(project: Project) -> None:
    """A manual step waits over a restart, and records who confirmed it."""
    project.write("plan.yaml", MANUAL)
    first = project.apply()
    assert first.code == 9
    assert first.report["status"] == "waiting"
    run = first.report["run"]
    assert "Pull the big lever" in json.dumps(first.report)
    again = project.apply()
    assert (again.code, again.report["run"]) == (9, run)
    wrong = project.call("confirm", run, "after", "--by", "ada")
    assert wrong.code == 2
    assert "switch" in wrong.err
    assert project.call("confirm", run, "switch", "--by", "ada", "--json").code == 0
    done = project.call("resume", run, "--json")
    assert done.code == 0, done.err
    assert done.step("switch")["result"]["confirmedBy"] == "ada"
    assert (project.folder / "done").exists()
    back = project.call("rollback", run, "--yes", "--json")
    assert back.code == 9
    assert not (project.folder / "done").exists()
    assert project.call("confirm", run, "undo:switch", "--by", "bob").code == 0
    assert project.call("resume", run, "--json").report["status"] == "rolled_back"


SLOW = """\
apiVersion: plan/v1
kind: MigrationPlan
metadata: {name: @NAME@}
stores:
  old: {type: mongodb, uri: {fromEnv: MONGO_URI}, database: @DB@}
phases:
  - id: one
    name: One
    tasks:
      - id: copy
        action: {bulk: {source: old.source, targets: [old.target]}}
      - id: wait
        prerequisites: [copy]
        action: {command: {run: [sleep, "@SECONDS@"], undo: ["true"], safeWhenAbsent: true, probe: ["true"]}}
"""


def stop_now(child: subprocess.Popen[str]) -> None:
    """Ask twice, with time between: two signals that wait together are one."""
    os.kill(child.pid, signal.SIGTERM)
    time.sleep(1)
    child.send_signal(signal.SIGINT)


def test_two_at_once(project: Project, client: Client) -> None:
    """Two applies that write the same target: the second is told who holds it, exit 5, and writes nothing."""
    fill(client, project.database, 10)
    project.write("plan.yaml", SLOW.replace("@NAME@", "one").replace("@SECONDS@", "20"))
    project.write("other/plan.yaml", SLOW.replace("@NAME@", "two").replace("@SECONDS@", "0"))
    first = project.start("apply", "plan.yaml", "--yes", "--json")
    deadline = time.monotonic() + 60
    while client[project.database].target.count_documents({}) < 10 and time.monotonic() < deadline:
        time.sleep(0.1)
    second = project.call("apply", "other/plan.yaml", "--yes", "--json", "--state", "other/.plan")
    assert second.code == 5, second.err
    assert f"pid {first.pid}" in second.err
    stop_now(first)
    first.communicate(timeout=60)


def test_interrupt_and_resume(project: Project, client: Client) -> None:
    """Asked twice, a run stops now with exit 9; its command, in doubt, is probed and found applied when the
    same run goes on."""
    fill(client, project.database, 10)
    project.write("plan.yaml", SLOW.replace("@NAME@", "one").replace("@SECONDS@", "30"))
    child = project.start("apply", "plan.yaml", "--yes", "--json")
    deadline = time.monotonic() + 60
    while client[project.database].target.count_documents({}) < 10 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    stop_now(child)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 9, err
    report = json.loads(out)
    assert report["status"] == "paused"
    done = project.call("resume", "--json")
    assert (done.code, done.report["run"]) == (0, report["run"]), done.err
    assert statuses(done) == [("copy", "done"), ("wait", "done")]


def test_interrupted_in_the_middle_of_a_copy(project: Project, client: Client) -> None:
    """One Ctrl-C stops a copy between two batches, and the rest is copied when the run goes on."""
    fill(client, project.database, 30_000)
    project.write(
        "plan.yaml",
        PLAN.replace("@LAST@", '["true"]').replace("batchSize: 100", "batchSize: 20, maxConcurrency: 1"),
    )
    child = project.start("apply", "plan.yaml", "--yes", "--json")
    deadline = time.monotonic() + 60
    while client[project.database].target.estimated_document_count() < 1000 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 9, err
    report = json.loads(out)
    [row] = [item for item in report["steps"] if item["id"] == "copy"]
    assert row["status"] == "interrupted"
    assert 0 < row["read"] < 30_000
    assert project.call("status", "--json").report["runs"][0]["status"] == "paused"
    done = project.call("resume", "--json")
    assert done.code == 0, done.err
    assert (done.step("copy")["read"], done.step("copy")["written"]) == (30_000, 30_000)


def test_a_missing_source_is_told_before_anything_runs(project: Project) -> None:
    """A collection that nothing makes and a step reads is refused at once, by a dry run too."""
    write(project)
    for extra in (["--dry-run"], []):
        done = project.call("apply", "plan.yaml", "--yes", *extra)
        assert done.code == 4, done.err
        assert "old.source" in done.err
    assert project.call("status", "--json").report == {"runs": []}


def test_words_of_rollback(project: Project, client: Client) -> None:
    """A rollback that was asked for is no failure; there is none to continue; a second does nothing."""
    fill(client, project.database, 10)
    write(project)
    run = project.apply().report["run"]
    assert project.call("rollback", run, "--continue", "--yes").code == 2
    done = project.call("rollback", run, "--yes")
    assert done.code == 0
    assert "as asked" in done.out
    assert "Failed" not in done.out
    assert "already" in project.call("rollback", run, "--yes").err
    assert project.call("status", run, "--dead", "nothing").code == 2


def test_moved_files_are_refused(project: Project, client: Client) -> None:
    """A compiled plan whose script was edited since is refused with its name, exit 4, nothing written."""
    project.write("do.sh", "exit 0\n")
    project.write(
        "plan.yaml",
        MANUAL.replace(
            "command: {run: [touch, done], undo: [rm, -f, done]", "script: {path: do.sh, undo: do.sh"
        ),
    )
    assert project.call("compile", "plan.yaml").code == 0
    project.write("do.sh", "exit 1\n")
    done = project.call("apply", "plan.compiled.json", "--yes")
    assert done.code == 4
    assert "do.sh" in done.err
    assert project.call("status", "--json").report == {"runs": []}


@pytest.mark.parametrize("extra", [[], ["--dry-run"]])
def test_a_store_that_is_away(project: Project, extra: list[str]) -> None:
    """A store that does not answer is a clear error before a run begins."""
    write(project)
    done = project.call(
        "apply", "plan.yaml", "--yes", *extra, environment={"MONGO_URI": "mongodb://user:sesame@127.0.0.1:9/"}
    )
    assert done.code == 4, done.err
    assert "store 'new'" in done.err
    assert "sesame" not in done.err
    assert project.call("status", "--json").report == {"runs": []}


def test_dry_run_writes_nothing(project: Project, client: Client) -> None:
    """--dry-run looks at everything and runs nothing."""
    fill(client, project.database, 10)
    before = snapshot(client, project.database)
    write(project)
    done = project.apply("--dry-run")
    assert (done.code, done.report["status"]) == (0, "dry_run")
    assert snapshot(client, project.database) == before


def test_what_a_function_prints_is_not_in_the_report(project: Project, client: Client) -> None:
    """--json is one document on standard output, whatever a plan's own functions print."""
    fill(client, project.database, 10)
    project.write("clean.py", "def clean(document):\n    print('noise')\n    return document\n")
    transform = "transform: {apiVersion: plan/v1, kind: Transform, steps: [{python: './clean.py:clean'}]}"
    text = PLAN.replace("@LAST@", '["true"]').replace("batchSize: 100", f"batchSize: 3, {transform}")
    project.write("plan.yaml", text)
    done = project.apply()
    assert done.code == 0, done.err
    assert done.step("copy")["written"] == 10
    assert "noise" in done.err


def test_retention(project: Project, client: Client) -> None:
    """Before-images and backups older than the plan's retention go with the next run."""
    fill(client, project.database, 10)
    text = PLAN.replace("@LAST@", '["true"]').replace(
        "      - id: prepare",
        "      - {id: save, action: {backup: {source: old.source}}}\n      - id: prepare",
    )
    project.write("plan.yaml", text.replace("phases:", "policy: {retention: 0s}\nphases:", 1))
    first = project.apply().report["run"]
    backups = project.folder / ".plan" / "backups"
    assert (backups / first).is_dir()
    assert f"undo_{first}" in client.fordway.list_collection_names()
    second = project.apply().report["run"]
    assert [path.name for path in backups.iterdir()] == [second]
    assert f"undo_{first}" not in client.fordway.list_collection_names()
