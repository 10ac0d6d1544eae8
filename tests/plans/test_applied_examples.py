"""The examples do what their comments promise: applied as a user applies them, on embedded servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import bson
import pytest

from compiler.model.plan import StoreSpec
from executor.stores.port import RecordStore
from executor.stores.registry import OpenStores
from tests.runs.driving import ROOT, Done, Project, statuses


@pytest.fixture
def user(tmp_path: Path) -> Project:
    """Somebody in the repository's folder, with a state folder of their own."""
    return Project(ROOT, uri="", database="", environment={"FORDWAY_STATE": str(tmp_path / ".plan")})


def state_of(user: Project) -> Path:
    """The user's state folder."""
    return Path(user.environment["FORDWAY_STATE"])


def apply(user: Project, plan: str, *arguments: str) -> Done:
    """``plan apply plans/PLAN --yes --json``."""
    return user.call("apply", f"plans/{plan}", "--yes", "--json", *arguments)


def opened(user: Project, stack: ExitStack, server: str, database: str) -> RecordStore:
    """A database of an embedded server of the user's, until the stack ends."""
    spec = StoreSpec(type="mongodb", options={"uri": f"embedded:{server}", "database": database})
    stores = stack.enter_context(closing(OpenStores({"it": spec}, base=ROOT, state=state_of(user))))
    store = stores.open("it")
    assert isinstance(store, RecordStore)
    return store


def records(store: RecordStore, collection: str) -> list[bytes]:
    """All records as bytes, in the order of their keys."""
    return [record for batch in store.source(collection).read(None) for record in batch.records]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Done]]:
    """Somebody who applied the quickstart, and what came of it."""
    state = tmp_path_factory.mktemp("quickstart") / ".plan"
    user = Project(ROOT, uri="", database="", environment={"FORDWAY_STATE": str(state)})
    yield user, apply(user, "quickstart/plan.yaml")


def test_the_quickstart_moves_what_it_says(quickstart: tuple[Project, Done]) -> None:
    """Every step ends well, and the copy's counts are those that the README gives."""
    _, done = quickstart

    assert done.code == 0, done.err
    assert {status for _, status in statuses(done)} == {"done"}
    copy = done.step("copy-notes")
    assert [copy[name] for name in ("read", "written", "unchanged", "filtered", "dead")] == [
        14_968,
        14_452,
        0,
        454,
        62,
    ]


def test_the_quickstart_finds_by_meaning(quickstart: tuple[Project, Done]) -> None:
    """The README's question finds the dentist first: the text has "tooth" and "dentistry", not "teeth"."""
    user, _ = quickstart
    found = subprocess.run(
        [sys.executable, "plans/quickstart/search.py", "a doctor who looks after teeth"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **user.environment},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert found.returncode == 0, found.stderr
    assert "dentist" in found.stdout.splitlines()[2]


def test_the_quickstart_applied_again_writes_nothing(quickstart: tuple[Project, Done]) -> None:
    """The second apply reads all, finds all of it unchanged, and embeds no text."""
    user, _ = quickstart
    again = apply(user, "quickstart/plan.yaml")

    assert again.code == 0, again.err
    copy = again.step("copy-notes")
    assert (copy["written"], copy["unchanged"], copy.get("embedded", 0)) == (0, 14_452, 0)


def test_the_error_threshold_brings_back_what_was_there(user: Project) -> None:
    """The failing copy is taken back exactly: the 200 invoices are there again, byte for byte."""
    assert apply(user, "error-threshold/seed.yaml").code == 0
    with ExitStack() as stack:
        before = records(opened(user, stack, "error-threshold", "books"), "invoices")

    done = apply(user, "error-threshold/plan.yaml")

    assert done.code == 6, done.err
    assert done.report["trigger"]["id"] == "copy-invoices/errorThreshold"
    assert 10_000 < done.step("copy-invoices")["read"] < 20_000
    with ExitStack() as stack:
        assert records(opened(user, stack, "error-threshold", "books"), "invoices") == before
        assert len(before) == 200
        assert not opened(user, stack, "error-threshold", "legacy").exists("invoices")


def test_the_copy_waits_for_a_person_and_then_switches(user: Project, tmp_path: Path) -> None:
    """The copy waits at its manual step; confirmed, it moves every record as it is and switches over."""
    flag = tmp_path / "cutover.flag"
    with ExitStack() as stack:
        old = opened(user, stack, "old", "shop")
        new = opened(user, stack, "new", "shop")
        old.insert("orders", [bson.encode({"_id": number, "total": f"{number}.00"}) for number in range(500)])
        user.environment |= {
            "SOURCE_URI": "embedded:old",
            "TARGET_URI": "embedded:new",
            "CUTOVER_FLAG": str(flag),
        }

        waiting = apply(user, "copy/plan.yaml")
        assert waiting.code == 9, waiting.err
        assert not new.exists("orders")

        run = waiting.report["run"]
        assert user.call("confirm", run, "stop-writers", "--by", "ada").code == 0
        done = user.call("resume", run, "--json")

        assert done.code == 0, done.err
        assert records(new, "orders") == records(old, "orders")
        assert flag.exists()
