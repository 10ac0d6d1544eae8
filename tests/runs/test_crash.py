"""Killed at every named crash point, and gone on with: nothing lost, nothing twice, forward and back.

The plan is the quickstart's in small: a dump is restored, targets are provisioned, records and vectors
are written as one unit and verified.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest

from executor.crashpoints import POINTS
from tests.runs.driving import Project

Client = pymongo.MongoClient[dict[str, Any]]

COUNT = 300

PLAN = """\
apiVersion: plan/v1
kind: MigrationPlan
metadata: {name: crash}
stores:
  legacy: {type: mongodb, uri: {fromEnv: MONGO_URI}, database: @DB@}
  documents: {type: mongodb, uri: {fromEnv: MONGO_URI}, database: @DB@}
  vectors:
    type: chromadb
    path: embedded:crash
    metric: l2
    embedding: {provider: python, function: "./embed.py:embed", dimension: 4}
phases:
  - id: preparation
    name: Preparation
    tasks:
      - id: load
        action: {restore: {from: ./legacy.bson.gz, into: legacy.notes, existing: keep}}
      - id: provision
        prerequisites: [load]
        action:
          provision:
            collections:
              - {target: documents.content, indexes: [{keys: {type: 1}, name: by-type}]}
              - {target: vectors.content}
  - id: copy
    name: Copy
    dependencies: [preparation]
    tasks:
      - id: copy
        action:
          bulk:
            source: legacy.notes
            targets: [documents.content, vectors.content]
            batchSize: 50
            errorThreshold: 10
            transform:
              apiVersion: plan/v1
              kind: Transform
              steps: [{filter: n != 13}, {require: [text]}]
              content: {type: note, text: text, metadata: [n], vectorMetadata: [n]}
    validation:
      - {step: verify, description: all there, expected: equal, action: {verify: {task: copy}}}
  - id: end
    name: End
    dependencies: [copy]
    tasks:
      - id: last
        action: {command: {run: @LAST@, undo: ["true"], safeWhenAbsent: true, probe: ["false"]}}
"""

EMBED = """\
import hashlib

def embed(texts):
    return [[byte / 256 for byte in hashlib.sha256(text.encode()).digest()[:4]] for text in texts]
"""


def prepare(project: Project, client: Client, last: str) -> None:
    """The project, and targets that hold something already: equal, different and foreign records."""
    project.write("plan.yaml", PLAN.replace("@LAST@", last))
    project.write("embed.py", EMBED)
    documents = [{"_id": n, "n": n, "text": f"text {n}" if n != 17 else None} for n in range(COUNT)]
    body = gzip.compress(b"".join(bson.encode(item) for item in documents), mtime=0)
    (project.folder / "legacy.bson.gz").write_bytes(body)
    client[project.database].content.insert_many([{"_id": "notes:int:5", "old": True}, {"_id": "foreign"}])


def snapshot(project: Project, client: Client) -> dict[str, Any]:
    """All documents as bytes, all indexes, all vectors with what belongs to them."""
    found: dict[str, Any] = {}
    for name in sorted(client[project.database].list_collection_names()):
        collection = client[project.database][name]
        found[name] = (
            [bytes(batch) for batch in collection.find_raw_batches().sort("_id", 1)],
            dict(collection.index_information()),
        )
    found["vectors"] = vectors(project.folder / ".plan" / "chromadb" / "crash")
    return found


def vectors(folder: Path) -> dict[str, Any]:
    """Every collection of a ChromaDB folder, read by a process of its own (a folder takes one)."""
    import subprocess
    import sys

    code = (
        "import chromadb, json, sys\n"
        "client = chromadb.PersistentClient(sys.argv[1])\n"
        "found = {}\n"
        "for c in client.list_collections():\n"
        "    c = client.get_collection(c.name, embedding_function=None)\n"
        "    got = c.get(include=['embeddings', 'metadatas', 'documents'])\n"
        "    rows = zip(got['ids'], got['embeddings'].tolist(), got['metadatas'], got['documents'])\n"
        "    found[c.name] = sorted(rows, key=lambda row: row[0])\n"
        "print(json.dumps(found))\n"
    )
    if not folder.exists():
        return {}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


FORWARD = [
    (point, nth)
    for point in POINTS
    if not point.startswith(("undo.", "rollback."))
    for nth in ((1, 3) if point.startswith(("bulk.", "step.")) else (1,))
]
BACK = [
    *((point, 1) for point in POINTS if point.startswith(("undo.", "rollback."))),
    ("undo.after-batch", 3),
    ("undo.after-mark", 4),
    ("step.after-intent", 7),
    ("step.after-effect", 7),
    ("step.after-intent", 8),
    ("step.after-effect", 8),
    ("run.before-end", 1),
]


@pytest.fixture(scope="session")
def undisturbed() -> dict[str, Any]:
    """What a run that nothing disturbed leaves, once known."""
    return {}


@pytest.mark.parametrize(("point", "nth"), FORWARD)
def test_forward(point: str, nth: int, project: Project, client: Client, undisturbed: dict[str, Any]) -> None:
    """A run that is killed there and gone on with ends as one that was not."""
    prepare(project, client, '["true"]')
    if not undisturbed:
        done = project.apply()
        assert done.code == 0, done.err
        undisturbed["stores"] = snapshot(project, client)
        undisturbed["counts"] = done.step("copy")
        client.drop_database(project.database)
        import shutil

        shutil.rmtree(project.folder / ".plan")
        prepare(project, client, '["true"]')
    killed = project.apply(environment={"FORDWAY_CRASH_AT": f"{point}:{nth}"})
    assert killed.code == -9, f"{point} was not reached: {killed.err}"
    done = project.apply()
    assert done.code == 0, done.err
    assert snapshot(project, client) == undisturbed["stores"]
    for name in ("read", "written", "unchanged", "filtered", "dead"):
        assert done.step("copy")[name] == undisturbed["counts"][name], name


@pytest.mark.parametrize(("point", "nth"), BACK)
def test_back(point: str, nth: int, project: Project, client: Client) -> None:
    """A rollback that is killed there and gone on with restores exactly what was."""
    prepare(project, client, '["false"]')
    before = snapshot(project, client)
    killed = project.apply(environment={"FORDWAY_CRASH_AT": f"{point}:{nth}"})
    assert killed.code == -9, f"{point} was not reached: {killed.err}"
    done = project.apply()
    assert done.code == 6, done.err
    after = snapshot(project, client)
    assert after.pop("vectors") in ({}, before.pop("vectors"))
    assert after == before


@pytest.mark.parametrize("point", ["bulk.after-manifest", "bulk.after-vectors", "bulk.after-write"])
def test_killed_and_taken_back(point: str, project: Project, client: Client) -> None:
    """A run that was killed in the middle of a batch is taken back exactly, without going on first."""
    prepare(project, client, '["true"]')
    before = snapshot(project, client)
    assert project.apply(environment={"FORDWAY_CRASH_AT": f"{point}:4"}).code == -9
    done = project.call("rollback", "--yes", "--json")
    assert done.code == 0, done.err
    after = snapshot(project, client)
    assert after.pop("vectors") in ({}, before.pop("vectors"))
    assert after == before
