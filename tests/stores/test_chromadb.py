"""ChromaDB as a store, in a folder and behind a server: its silent habits met one by one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from compiler.model.plan import StoreSpec
from executor.contract import StoreRefused, StoreUnavailable, TargetsLocked
from executor.stores.chromadb.store import ChromaStore
from executor.stores.port import RecordStore, Store, VectorRecords, VectorStore
from executor.stores.registry import open_store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a ChromaDB server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("chroma-server")
    chroma = Path(sys.executable).with_name("chroma")
    with subprocess.Popen(
        [chroma, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(number)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ANONYMIZED_TELEMETRY": "False"},
    ) as server:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{number}/api/v2/heartbeat", timeout=1):
                    break
            except OSError:
                time.sleep(0.1)
        yield number
        server.terminate()


def opened(folder: Path, **options: object) -> ChromaStore:
    """A store as the plan calls it ``v``."""
    given = options or {"path": "chroma"}
    spec = StoreSpec(type="chromadb", options=given)  # type: ignore[arg-type]
    store = open_store("v", spec, base=folder, state=folder / ".plan")
    assert isinstance(store, ChromaStore)
    return store


@pytest.fixture(params=["folder", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChromaStore]:
    """The same behaviour in a folder and behind a server."""
    if request.param == "server":
        found = opened(tmp_path, host="127.0.0.1", port=request.getfixturevalue("port"))
        for name in found.collections():
            found.drop(name)
    else:
        found = opened(tmp_path)
    yield found
    found.close()


def rows(*numbers: int, dimension: int = 4) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """A vector for each number."""
    return np.array(
        [np.random.default_rng(number).normal(size=dimension) for number in numbers], dtype=np.float32
    )


def given(*numbers: int, **more: object) -> VectorRecords:
    """Records with ids, vectors and metadata made of numbers."""
    parts: dict[str, object] = {
        "ids": [f"id{number}" for number in numbers],
        "vectors": rows(*numbers),
        "metadatas": [{"n": number, "lang": "en"} for number in numbers],
        "documents": None,
    }
    return VectorRecords(**{**parts, **more})  # type: ignore[arg-type]


def test_facts_and_collections(store: ChromaStore) -> None:
    """A collection is what it was created as, and shows it before and after it has data."""
    assert isinstance(store, Store)
    assert isinstance(store, VectorStore)
    assert not isinstance(store, RecordStore)
    store.ping()
    assert not store.facts("things").exists
    assert store.count("things") == 0
    store.create("things", metric="ip", dimension=4, embedding="static/x-4")
    facts = store.facts("things")
    assert (facts.count, facts.metric, facts.dimension, facts.embedding) == (0, "ip", 4, "static/x-4")
    store.add("things", given(1, 2, 3))
    assert store.facts("things").count == 3
    assert store.count("things", {"n": {"$gte": 2}}) == 2
    assert store.collections() == ["things"]
    with pytest.raises(StoreRefused, match="already exists"):
        store.create("things", metric="ip")
    with pytest.raises(StoreRefused, match="no metric 'manhattan'"):
        store.create("others", metric="manhattan")
    with pytest.raises(StoreRefused, match="containing 3-512 characters"):
        store.create("ab", metric="l2")
    store.drop("things")
    store.drop("things")
    assert store.collections() == []


def test_another_kind_of_collection_is_refused(store: ChromaStore) -> None:
    """An existing collection is never silently taken for another metric, dimension or embedding."""
    store.check("things", metric="l2")
    store.create("things", metric="cosine", embedding="one")
    store.add("things", given(1))
    store.check("things", metric="cosine", dimension=4, embedding="one")
    for wrong, words in (
        ({"metric": "l2"}, "the metric 'cosine', the plan wants 'l2'"),
        ({"metric": "cosine", "dimension": 5}, "dimension '4', the plan wants '5'"),
        ({"metric": "cosine", "embedding": "two"}, "the embedding 'one', the plan wants 'two'"),
    ):
        with pytest.raises(StoreRefused, match=words):
            store.check("things", **wrong)  # type: ignore[arg-type]
    with pytest.raises(StoreRefused, match="vectors of dimension 4, not 5"):
        store.add("things", VectorRecords(ids=["x"], vectors=rows(1, dimension=5)))


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
def test_vectors_come_back(store: ChromaStore, metric: str) -> None:
    """Vectors come back as they went in, whatever the metric; ids that are missing are left out."""
    store.create("things", metric=metric)
    assert store.add("things", given(1, 2, 3)) == []
    found = store.get("things", ["id3", "missing", "id1"])
    assert found.vectors is not None
    for record_id, vector in zip(found.ids, found.vectors, strict=True):
        np.testing.assert_allclose(vector, rows(int(record_id[2:]))[0], rtol=1e-5)
    assert sorted(found.ids) == ["id1", "id3"]


def test_one_faulty_record_costs_no_other(store: ChromaStore) -> None:
    """What ChromaDB refuses or would change in silence is refused alone, with its reason."""
    store.create("things", metric="cosine")
    metadatas: list[dict[str, object]] = [{"n": number} for number in range(14)]
    faults: dict[int, object] = {
        0: None,
        1: {"nested": 1},
        2: 2**63,
        3: float("nan"),
        4: float("inf"),
        5: [],
        6: [1, "mixed"],
        7: b"bytes",
        8: np.int64(1),
        9: "\ud800",
    }
    for place, value in faults.items():
        metadatas[place] = {"bad": value}
    metadatas[10] = {"chroma:document": "x"}
    vectors = rows(*range(14))
    vectors[11] = np.nan
    vectors[12] = 1e38
    records = VectorRecords(
        ids=[f"id{number}" for number in range(14)],
        vectors=vectors,
        metadatas=metadatas,  # type: ignore[arg-type]
    )
    refused = store.add("things", records)
    assert [item.index for item in refused] == list(range(13))
    assert store.get("things", list(records.ids)).ids == ["id13"]


def test_a_batch_that_only_the_server_refuses_is_halved(store: ChromaStore) -> None:
    """A record that ChromaDB alone knows to refuse is found by halving; all others are added."""
    store.create("things", metric="l2")
    metadatas: list[dict[str, object]] = [{"n": number} for number in range(40)]
    metadatas[17] = {"#embedding": 1}
    records = given(*range(40), metadatas=metadatas)
    refused = store.add("things", records)
    assert [item.index for item in refused] == [17]
    assert store.count("things") == 39


def test_metadata_arrives_as_it_is(store: ChromaStore) -> None:
    """Every kind that ChromaDB keeps comes back with its type, at its limits, and none at all as none."""
    store.create("things", metric="l2")
    kept: list[dict[str, object]] = [
        {"text": "ü", "int": 2**63 - 1, "low": -(2**63), "float": 0.1, "yes": True, "no": False},
        {"texts": ["a", "b"], "ints": [1, 2], "floats": [0.5], "bools": [True, False], "one": 1, "wun": 1.0},
        {},
    ]
    assert store.add("things", given(1, 2, 3, metadatas=kept)) == []
    found = store.get("things", ["id1", "id2", "id3"])
    by_id = dict(zip(found.ids, found.metadatas, strict=True))
    assert by_id == {"id1": kept[0], "id2": kept[1], "id3": None}
    second = by_id["id2"]
    assert second is not None
    assert isinstance(second["one"], int)
    assert isinstance(second["wun"], float)


def test_replacing_leaves_nothing_of_the_old_record(store: ChromaStore) -> None:
    """Keys that went away go, documents that went away go, and metadata alone keeps the vector."""
    store.create("things", metric="cosine")
    store.add("things", given(1, 2, 3, documents=["one", "two", None]))
    before = store.get("things", ["id1", "id2", "id3"])
    assert before.vectors is not None
    kept = before.vectors[list(before.ids).index("id1")]
    new = VectorRecords(
        ids=["id1", "id2", "id3"],
        vectors=np.stack([kept, rows(20)[0], rows(30)[0]]),
        metadatas=[{"lang": "de"}, {"other": 1}, {}],
        documents=["one", None, "three"],
    )
    assert store.replace("things", new, before) == []
    found = store.get("things", ["id1", "id2", "id3"])
    place = {record_id: at for at, record_id in enumerate(found.ids)}
    assert found.documents is not None
    assert found.vectors is not None
    assert [found.metadatas[place[key]] for key in new.ids] == [{"lang": "de"}, {"other": 1}, None]
    assert [found.documents[place[key]] for key in new.ids] == ["one", None, "three"]
    np.testing.assert_allclose(found.vectors[place["id1"]], kept, rtol=1e-6)
    np.testing.assert_allclose(found.vectors[place["id2"]], rows(20)[0], rtol=1e-5)


def test_more_than_a_batch_holds(store: ChromaStore) -> None:
    """More records than the client takes at once are written, read, scanned and deleted in several goes."""
    store.create("things", metric="l2")
    count = 7000
    assert store.capabilities.max_batch is not None
    assert count > store.capabilities.max_batch
    vectors = np.random.default_rng(1).normal(size=(count, 2)).astype(np.float32)
    ids = [f"{number:05d}" for number in range(count)]
    assert store.add("things", VectorRecords(ids=ids, vectors=vectors)) == []
    found = store.get("things", ids, documents=False)
    assert found.vectors is not None
    assert len(found.ids) == len(found.vectors) == count
    scanned = [record_id for part in store.scan("things", 999) for record_id in part.ids]
    assert scanned == ids
    store.delete("things", [*ids, "never there"])
    assert store.count("things") == 0


def test_one_process_a_folder(tmp_path: Path) -> None:
    """A folder that this process has open is locked for others, who are told by whom; then it is theirs."""
    store = opened(tmp_path)
    again = opened(tmp_path)
    code = (
        "import sys; from pathlib import Path; from tests.stores.test_chromadb import opened\n"
        "try:\n opened(Path(sys.argv[1])).close()\nexcept Exception as error:\n print(repr(error))"
    )

    def elsewhere() -> str:
        return subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert f"is held by another process (pid {os.getpid()} on" in elsewhere()
    assert TargetsLocked.__name__ in elsewhere()
    store.close()
    store.close()
    assert "is held by" in elsewhere()
    again.close()
    assert elsewhere() == ""
    assert sorted(path.name for path in (tmp_path / "chroma").iterdir()) == [
        ".fordway.lock",
        "chroma.sqlite3",
    ]


def test_an_embedded_folder(tmp_path: Path) -> None:
    """``embedded:<name>`` is a folder of the state folder, and has the same lease target as its path."""
    store = opened(tmp_path, path="embedded:vectors")
    folder = tmp_path / ".plan" / "chromadb" / "vectors"
    assert folder.is_dir()
    assert store.lease_target("things") == f"{folder}/things"
    assert store.lease_home() is None
    assert store.undo_log("run", "step") is None
    store.close()


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """Nobody at the port: unavailable, in one line."""
    with pytest.raises(StoreUnavailable, match="server does not answer"):
        opened(tmp_path, host="127.0.0.1", port=9)


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in the place of the folder, and a spec that names no place, are refused in words."""
    (tmp_path / "chroma").write_text("in the way")
    with pytest.raises(StoreRefused, match="cannot be used"):
        opened(tmp_path)
    with pytest.raises(StoreRefused, match="needs a 'path'"):
        opened(tmp_path, metric="cosine")
