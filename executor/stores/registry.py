"""Kinds of stores, and the plan's stores, each opened when it is first asked for."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from compiler.model.plan import StoreSpec
from executor.contract import FordwayError, StoreRefused
from executor.secrets import read_secret
from executor.stores.port import Secrets, Store

KINDS: Mapping[str, str] = {
    "chromadb": "executor.stores.chromadb.store",
    "mongodb": "executor.stores.mongodb.store",
}
"""Kind → the module that has its ``open_store``; imported when first asked for, since drivers are heavy."""


class Opener(Protocol):
    """What a store's module offers."""

    def __call__(self, name: str, spec: StoreSpec, *, base: Path, state: Path, secrets: Secrets) -> Store: ...


def open_store(
    name: str, spec: StoreSpec, *, base: Path, state: Path, secrets: Secrets = read_secret
) -> Store:
    """The store that the plan calls ``name``. ``base`` is the folder that relative paths start from,
    ``state`` the state folder. Raises FordwayError; what is not needed to open it, as whether a server
    answers, is found out by :meth:`Store.ping`."""
    module = KINDS.get(spec.type)
    if module is None:
        raise StoreRefused(
            name, f"there is no kind of store '{spec.type}'", hint="known are " + ", ".join(sorted(KINDS))
        )
    opener = cast(Opener, importlib.import_module(module).open_store)
    return opener(name, spec, base=base, state=state, secrets=secrets)


class OpenStores:
    """The stores of one plan: a :class:`~executor.contract.Stores`. Safe from several threads."""

    def __init__(self, specs: Mapping[str, StoreSpec], *, base: Path, state: Path) -> None:
        self._specs, self._base, self._state = specs, base, state
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._open: dict[str, Store] = {}

    def spec(self, name: str) -> StoreSpec:
        """Raises StoreRefused if the plan has no such store."""
        try:
            return self._specs[name]
        except KeyError:
            raise StoreRefused(
                name, "the plan has no such store", hint="it has " + ", ".join(sorted(self._specs))
            ) from None

    def open(self, name: str) -> Store:
        """The open store. One that could not be opened is tried again when it is asked for again."""
        spec = self.spec(name)
        with self._lock:
            lock = self._opening.setdefault(name, threading.Lock())
        # A slow one, a server that starts, does not keep others waiting.
        with lock:
            if name not in self._open:
                self._open[name] = open_store(name, spec, base=self._base, state=self._state)
            return self._open[name]

    def close_all(self) -> None:
        """Close every store, last opened first; the first error is raised when all have been closed."""
        errors: list[FordwayError] = []
        while self._open:
            _, store = self._open.popitem()
            try:
                store.close()
            except FordwayError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def close(self) -> None:
        """The same, for ``contextlib.closing``."""
        self.close_all()
