"""Fixtures that many tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from executor.stores.mongodb import embedded


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a running replica set, one for all workers of a test run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    member = embedded.join("tests", folder / "state")
    yield member.uri
    member.release()
