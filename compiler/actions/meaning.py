"""What an action module gives to the compiler, and what it may ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from compiler.diagnostics import Span
from compiler.model.plan import Category, Estimate, Inverse, JsonObject, StoreSpec
from compiler.source.quantity import DurationUnit, SizeUnit
from compiler.source.tree import MappingNode, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A collection of a store."""

    store: str
    collection: str

    def __str__(self) -> str:
        return f"{self.store}.{self.collection}"

    def to_json(self) -> JsonObject:
        """``{"store": …, "collection": …}``."""
        return {"store": self.store, "collection": self.collection}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """An action, resolved.

    ``inverse`` is None where the action has none. ``estimate`` is the rule of thumb for when nothing is
    declared. ``interruptible`` and ``idempotent`` are the kind's own nature.
    """

    params: JsonObject
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    """Places that must be there before the run, unless another step writes them."""
    inverse: Inverse | None = None
    category: Category = Category.DATA
    interruptible: bool = False
    idempotent: bool = False
    estimate: Estimate = field(default_factory=Estimate)


class Scope(Protocol):
    """What an action module may ask while it resolves one action. Whatever is wrong is reported at its
    place, and something harmless is returned, so that all faults are told in one run."""

    @property
    def task(self) -> str:
        """The id of the task (or validation, or procedure) that the action belongs to."""
        ...

    @property
    def stores(self) -> Mapping[str, StoreSpec]: ...

    def report(self, code: str, span: Span | None, detail: str, hint: str = "") -> None: ...

    def place(self, node: Node | None) -> Place | None:
        """``store.collection`` with a known store, else reported and None."""
        ...

    def file(self, node: Node | None) -> str | None:
        """A file beside the plan, which must exist; it becomes one of the plan's inputs."""
        ...

    def function(self, node: Node | None) -> str | None:
        """``./file.py:name``; the file becomes one of the plan's inputs."""
        ...

    def seconds(self, node: Node | None, unit: DurationUnit) -> float | None:
        """A duration in seconds; a bare number has ``unit`` and a warning."""
        ...

    def size(self, node: Node | None, unit: SizeUnit) -> int | None:
        """A size in bytes; a bare number has ``unit`` and a warning."""
        ...

    def transform(self, node: Node | None) -> JsonObject | None:
        """A transform document, from its file or inline."""
        ...

    def meaning_of(self, task: str) -> tuple[str, Meaning] | None:
        """Kind and meaning of another task's action; None if there is no such task (not reported)."""
        ...

    def tasks(self) -> list[str]:
        """All task ids."""
        ...


class Action(Protocol):
    """An action module's entry."""

    def __call__(self, node: MappingNode, scope: Scope) -> Meaning | None:
        """The action's meaning; None where it is too broken to have one."""
        ...


def same_place(stores: Mapping[str, StoreSpec], place: str) -> str:
    """A place by the first of the stores that are the same one under several names, so that two names of
    one collection are equal."""
    name, dot, collection = place.partition(".")
    spec = stores.get(name)
    if not dot or spec is None:
        return place
    known = _ADDRESS.get(spec.type, ())
    address = {key: spec.options.get(key) for key in known}
    for other, candidate in stores.items():
        if candidate.type == spec.type and address == {key: candidate.options.get(key) for key in known}:
            return f"{other}.{collection}"
    return place


_ADDRESS = {"mongodb": ("uri", "database"), "chromadb": ("path", "host", "port")}
"""The options that say where a store is."""

NOTHING = Inverse(summary="nothing to take back", safe_when_absent=True, nothing=True)


def rule_of_thumb(likely: float) -> Estimate:
    """A default estimate in seconds: from half to four times as long."""
    return Estimate(low=likely / 2, likely=likely, high=likely * 4, provenance="default")


def texts(node: Node | None) -> list[str]:
    """The texts of a list, or of a single text."""
    value = node.plain() if node is not None else None
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else []
