"""Error thresholds and triggers that stop a run half-way."""

from __future__ import annotations

from typing import Any

import pymongo

from tests.runs.driving import Project
from tests.runs.test_apply import fill, snapshot

Client = pymongo.MongoClient[dict[str, Any]]

PLAN = """\
apiVersion: plan/v1
kind: MigrationPlan
metadata: {name: threshold}
stores:
  db: {type: mongodb, uri: {fromEnv: MONGO_URI}, database: @DB@}
rollbackStrategy: {apiVersion: plan/v1, kind: RollbackStrategy, @STRATEGY@}
phases:
  - id: one
    name: One
    tasks:
      - id: copy
        action:
          bulk:
            source: db.source
            targets: [db.target]
            batchSize: 50
            errorThreshold: @THRESHOLD@
            transform: {apiVersion: plan/v1, kind: Transform, steps: [{require: [text]}]}
"""


def poison(client: Client, database: str, first: int) -> None:
    """From that record on, every fifth has no text."""
    client[database].source.update_many({"n": {"$gte": first, "$mod": [5, 0]}}, {"$unset": {"text": 1}})


def test_a_threshold_trips_half_way(project: Project, client: Client) -> None:
    """Errors beyond the threshold drain the step before its end and take the run back exactly."""
    fill(client, project.database, 20_000)
    poison(client, project.database, 2_000)
    before = snapshot(client, project.database)
    project.write("plan.yaml", PLAN.replace("@STRATEGY@", "triggers: []").replace("@THRESHOLD@", "2"))
    done = project.apply()
    assert done.code == 6, done.err
    assert done.report["trigger"]["id"] == "copy/errorThreshold"
    assert done.report["trigger"]["metrics"]["errorRate"] > 2
    assert snapshot(client, project.database) == before


def test_a_threshold_holds_to_the_last_record(project: Project, client: Client) -> None:
    """Too few records for a rate to mean anything half-way are still judged in the end."""
    fill(client, project.database, 50)
    poison(client, project.database, 45)
    project.write("plan.yaml", PLAN.replace("@STRATEGY@", "triggers: []").replace("@THRESHOLD@", "1"))
    done = project.apply()
    assert done.code == 6, done.err
    assert "too many dead letters" in done.report["reason"]


def test_dead_letters_below_the_threshold_are_kept(project: Project, client: Client) -> None:
    """A poison record becomes a dead letter with its reason, and the rest arrives."""
    fill(client, project.database, 1000)
    client[project.database].source.update_one({"_id": 77}, {"$unset": {"text": 1}})
    project.write("plan.yaml", PLAN.replace("@STRATEGY@", "triggers: []").replace("@THRESHOLD@", "5"))
    done = project.apply()
    assert done.code == 0, done.err
    row = done.step("copy")
    # n = 0 has an empty text, and so has every fiftieth.
    assert row["read"] == row["written"] + row["unchanged"] + row["filtered"] + row["dead"] == 1000
    assert row["dead"] == 21
    listed = project.call("status", done.report["run"], "--dead", "copy", "--json").report["deadLetters"]
    assert len(listed) == 21
    [letter] = [item for item in listed if "77" in item["key"]]
    assert "text" in letter["reason"]


def test_a_strategy_trigger_pauses(project: Project, client: Client) -> None:
    """A trigger of medium severity stops the run for a person, who may go on."""
    fill(client, project.database, 20_000)
    poison(client, project.database, 100)
    strategy = (
        "triggers: [{name: many, condition: deadLetters > threshold, threshold: 10, timeWindow: 0s,"
        " severity: medium, automated: true}]"
    )
    project.write("plan.yaml", PLAN.replace("@STRATEGY@", strategy).replace("@THRESHOLD@", "90"))
    done = project.apply()
    assert done.code == 9, done.err
    assert done.report["status"] == "paused"
    assert done.report["trigger"]["id"] == "many"
    resumed = project.call("resume", done.report["run"], "--json")
    assert resumed.code == 0, resumed.err
    row = resumed.step("copy")
    assert row["read"] == row["written"] + row["dead"] == 20_000
