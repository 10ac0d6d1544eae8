"""Fixtures for whole runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from tests.runs.driving import Project


@pytest.fixture
def client(mongod: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    """A client of the session's mongod."""
    with pymongo.MongoClient(mongod, tz_aware=True) as opened:
        yield opened


@pytest.fixture
def project(tmp_path: Path, mongod: str, client: pymongo.MongoClient[dict[str, Any]]) -> Iterator[Project]:
    """An empty project with a database of its own, which is dropped in the end."""
    database = "t" + uuid.uuid4().hex[:10]
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".git").mkdir()
    yield Project(folder, mongod, database)
    client.drop_database(database)
