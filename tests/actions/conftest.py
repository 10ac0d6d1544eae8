"""What the tests of runners share: a context as the run loop makes it, on real folders."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pymongo
import pytest

from compiler.model.plan import JsonObject, Step, StoreSpec
from compiler.model.run import Counts
from executor.contract import Context, DeadLetter, FordwayError, UndoLog
from executor.stores.registry import OpenStores


class KeptJournal:
    """A journal that keeps what a step told it."""

    def __init__(self) -> None:
        self.cursors: list[JsonObject] = []
        self.counts: list[Counts] = []
        self.dead: list[DeadLetter] = []

    def checkpoint(self, cursor: JsonObject, counts: Counts, dead: Sequence[DeadLetter] = ()) -> None:
        self.cursors.append(cursor)
        self.counts.append(counts)
        self.dead.extend(dead)


class NoStores:
    """The stores of a plan that has none."""

    def spec(self, name: str) -> StoreSpec:
        raise FordwayError(f"there is no store '{name}'")

    def open(self, name: str) -> object:
        raise FordwayError(f"there is no store '{name}'")


def _no_undo_log(step: str) -> UndoLog:
    raise FordwayError(f"step '{step}' has no undo log here")


def _nothing(_: object = None) -> None:
    return None


ContextMaker = Callable[..., Context]


@pytest.fixture
def context(tmp_path: Path) -> ContextMaker:
    """Makes a context whose folders lie in the test's own; keywords replace its parts."""

    def make(**parts: object) -> Context:
        run = str(parts.get("run", "20261122-1200-quickstart"))
        given: dict[str, object] = {
            "run": run,
            "key": "0123456789abcdef",
            "attempt": 1,
            "base": tmp_path,
            "state": tmp_path / ".plan",
            "folder": tmp_path / ".plan" / "runs" / run,
            "stores": NoStores(),
            "journal": KeptJournal(),
            "undo_log": _no_undo_log,
            "progress": _nothing,
            "proceed": _nothing,
            "prepared_of": _nothing,
            "counts_of": _nothing,
            "is_dead": _nothing,
        }
        return Context(**{**given, **parts})  # type: ignore[arg-type]

    return make


@pytest.fixture
def step() -> Callable[..., Step]:
    """Makes a step of a kind with its params."""

    def make(kind: str, params: Mapping[str, object], **fields: object) -> Step:
        return Step(**{"id": "the-step", "kind": kind, "params": params, **fields})  # type: ignore[arg-type]

    return make


@pytest.fixture
def database(mongod: str) -> Iterator[pymongo.database.Database[dict[str, Any]]]:
    """An empty database of the session's mongod, dropped in the end."""
    name = "t" + uuid.uuid4().hex[:10]
    with pymongo.MongoClient[dict[str, Any]](mongod) as client:
        yield client[name]
        client.drop_database(name)


@pytest.fixture
def stores(
    mongod: str, database: pymongo.database.Database[dict[str, Any]], tmp_path: Path
) -> Iterator[OpenStores]:
    """The store ``db`` in that database, and ``vectors`` in a folder of the test's own."""
    specs = {
        "db": StoreSpec(type="mongodb", options={"uri": mongod, "database": database.name}),
        "vectors": StoreSpec(type="chromadb", options={"path": "chroma", "metric": "cosine", "dimension": 4}),
    }
    opened = OpenStores(specs, base=tmp_path, state=tmp_path / ".plan")
    yield opened
    opened.close_all()
