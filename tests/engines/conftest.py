"""Fixtures for the data path."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest
from pymongo.database import Database

from compiler.model.plan import StoreSpec
from tests.engines.driving import Drive


@pytest.fixture
def database(mongod: str) -> Iterator[Database[dict[str, object]]]:
    """An empty database of the session's mongod, dropped in the end."""
    name = "t" + uuid.uuid4().hex[:10]
    with pymongo.MongoClient[dict[str, object]](mongod, tz_aware=False) as client:
        yield client[name]
        client.drop_database(name)


@pytest.fixture
def specs(mongod: str, database: Database[dict[str, object]]) -> dict[str, StoreSpec]:
    """The stores of a driven step: ``m`` in the test's own database, ``v`` in a folder of its own."""
    return {
        "m": StoreSpec(type="mongodb", options={"uri": mongod, "database": database.name}),
        "v": StoreSpec(type="chromadb", options={"path": "chroma"}),
    }


@pytest.fixture
def drive(tmp_path: Path, specs: dict[str, StoreSpec]) -> Iterator[Drive]:
    """A driven bulk step, with a run that has begun."""
    driven = Drive(tmp_path, specs)
    driven.begin()
    yield driven
    if driven.run_id:
        driven.records.drop_undo(driven.run_id)
    driven.close()
