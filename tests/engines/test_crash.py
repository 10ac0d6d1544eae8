"""Killed at every crash point of the data path, then continued or taken back: nothing lost, none twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pymongo.database import Database

from compiler.model.plan import JsonObject, StoreSpec
from tests.engines.contents import records, vectors
from tests.engines.driving import Drive, copy, unified

ROOT = Path(__file__).parents[2]
Documents = Database[dict[str, object]]
FORWARD = ["bulk.after-manifest", "bulk.after-vectors", "bulk.after-write", "bulk.after-checkpoint"]
COPY = [point for point in FORWARD if point != "bulk.after-vectors"]


def killed(
    folder: Path,
    specs: Mapping[str, StoreSpec],
    params: JsonObject,
    at: str,
    *,
    run: str | None = None,
    act: str = "run",
) -> str:
    """One attempt in a process of its own, which dies at a crash point; the run's id."""
    told = {
        "folder": str(folder),
        "stores": {name: (spec.type, spec.options) for name, spec in specs.items()},
        "params": params,
        "act": act,
        "run": run,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.killed", json.dumps(told)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FORDWAY_CRASH_AT": at},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, f"{at} was not reached: {done.stderr}"
    return done.stdout.strip()


def fill(database: Documents, count: int = 800) -> None:
    """A source, and a target that has some of it, some other records and some with the same keys."""
    database.source.insert_many(
        [{"_id": number, "body": f"text {number}", "lang": "en"} for number in range(count)]
    )


def occupy(database: Documents) -> None:
    """Records in the target: one equal, some different, one of somebody else's."""
    database.target.insert_many(
        [
            {"_id": 5, "body": "text 5", "lang": "en"},
            *({"_id": number, "old": number} for number in range(100, 160)),
            {"_id": "theirs"},
        ]
    )


def opened(folder: Path, specs: Mapping[str, StoreSpec], run: str) -> Drive:
    """The project in this process, owning the run."""
    drive = Drive(folder, specs)
    drive.begin(run)
    return drive


@pytest.mark.parametrize("nth", [1, 4])
@pytest.mark.parametrize("point", COPY)
def test_a_fresh_copy_goes_on(
    tmp_path: Path, specs: dict[str, StoreSpec], database: Documents, point: str, nth: int
) -> None:
    """A copy into a fresh target that was killed goes on: every record once, all counted as written."""
    fill(database)
    drive = opened(tmp_path, specs, killed(tmp_path, specs, copy(), f"{point}:{nth}"))
    counts = drive.counts(copy())
    assert (counts.read, counts.written, counts.unchanged) == (800, 800, 0)
    assert records(drive.records, "target") == records(drive.records, "source")
    result = drive.undo(copy())
    assert "changedSince" not in result
    assert drive.records.collections() == ["source"]
    drive.close()


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("point", COPY)
def test_a_copy_into_data_goes_on_and_back(
    tmp_path: Path, specs: dict[str, StoreSpec], database: Documents, point: str, nth: int
) -> None:
    """A copy over other data, killed twice, goes on to its end, and back to what was there."""
    fill(database)
    occupy(database)
    before = sorted(map(str, database.target.find()))
    run = killed(tmp_path, specs, copy(), f"{point}:{nth}")
    killed(tmp_path, specs, copy(), f"{point}:1", run=run)
    drive = opened(tmp_path, specs, run)
    counts = drive.counts(copy())
    assert (counts.read, counts.written, counts.unchanged) == (800, 799, 1)
    result = drive.undo(copy())
    assert "changedSince" not in result
    assert sorted(map(str, database.target.find())) == before
    drive.close()


@pytest.mark.parametrize("occupied", [False, True])
@pytest.mark.parametrize("point", COPY)
def test_a_killed_copy_is_taken_back(
    tmp_path: Path, specs: dict[str, StoreSpec], database: Documents, point: str, occupied: bool
) -> None:
    """A copy that was killed is taken back from where it was, without going on first."""
    fill(database)
    if occupied:
        occupy(database)
    before = sorted(map(str, database.target.find()))
    drive = opened(tmp_path, specs, killed(tmp_path, specs, copy(), f"{point}:3"))
    result = drive.undo(copy())
    assert "changedSince" not in result
    assert sorted(map(str, database.target.find())) == before
    drive.close()


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("point", FORWARD)
def test_unified_content_goes_on(
    tmp_path: Path, specs: dict[str, StoreSpec], database: Documents, point: str, nth: int
) -> None:
    """A unified unit that was killed between its sides is completed: as many vectors as records."""
    fill(database, 500)
    run = killed(tmp_path, specs, unified(), f"{point}:{nth}")
    drive = opened(tmp_path, specs, run)
    counts = drive.counts(unified())
    assert (counts.read, counts.written, counts.unchanged) == (500, 500, 0)
    assert drive.verify(unified(), "counts", "records", "vectors")["compared"] == 500
    result = drive.undo(unified())
    assert "changedSince" not in result
    assert drive.records.collections() == ["source"]
    assert drive.vectors.collections() == []
    drive.close()


@pytest.mark.parametrize("point", FORWARD)
def test_changed_content_is_taken_back(
    tmp_path: Path, specs: dict[str, StoreSpec], database: Documents, point: str
) -> None:
    """A second run that replaces records and vectors, killed in the middle, goes back to the first's."""
    fill(database, 300)
    drive = Drive(tmp_path, specs)
    drive.begin()
    drive.run(unified())
    before = records(drive.records, "target"), vectors(drive.vectors, "target")
    drive.close()
    database.source.update_many({"_id": {"$gte": 150}}, {"$set": {"body": "all new"}})
    drive = opened(tmp_path, specs, killed(tmp_path, specs, unified(), f"{point}:2"))
    result = drive.undo(unified())
    assert "changedSince" not in result
    assert (records(drive.records, "target"), vectors(drive.vectors, "target")) == before
    drive.close()


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("point", ["undo.after-batch", "undo.after-mark"])
def test_an_undo_goes_on(
    tmp_path: Path, specs: dict[str, StoreSpec], database: Documents, point: str, nth: int
) -> None:
    """An undo that was killed is run again, and finds nobody else's changes."""
    fill(database, 300)
    drive = Drive(tmp_path, specs)
    drive.begin()
    drive.run(unified())
    before = records(drive.records, "target"), vectors(drive.vectors, "target")
    database.source.update_many({"_id": {"$gte": 50}}, {"$set": {"body": "all new"}})
    database.source.insert_many([{"_id": f"n{number}", "body": "more"} for number in range(150)])
    drive.begin()
    drive.run(unified())
    run = drive.run_id
    drive.close()
    killed(tmp_path, specs, unified(), f"{point}:{nth}", run=run, act="undo")
    drive = opened(tmp_path, specs, run)
    result = drive.undo(unified())
    assert "changedSince" not in result
    assert (records(drive.records, "target"), vectors(drive.vectors, "target")) == before
    drive.close()


def test_ids_are_known_after_a_crash(
    tmp_path: Path, specs: dict[str, StoreSpec], database: Documents
) -> None:
    """Which id is taken is known in the next process too, even if the list of ids was lost."""
    fill(database, 600)
    database.source.update_many({}, [{"$set": {"group": {"$mod": ["$_id", 550]}}}])
    params = copy(
        mode="documents",
        transform={"steps": [{"drop": ["_id"]}, {"rename": {"group": "_id"}}]},
        errorThreshold={"count": 50},
        workers=1,
    )
    run = killed(tmp_path, specs, params, "bulk.after-checkpoint:3")
    for kept in (tmp_path / ".plan" / "runs" / run).iterdir():
        kept.unlink()
    drive = opened(tmp_path, specs, run)
    counts = drive.counts(params)
    assert (counts.written, counts.dead) == (550, 50)
    assert database.target.find_one({"_id": 5}) == {"_id": 5, "body": "text 5", "lang": "en"}
    assert drive.undo(params)["deleted"] == 550
    drive.close()
