"""Reading a step's ``params`` as the types that its action expects.

The compiler has validated them and the digest seals them, so a wrong one here means a compiled plan
from somewhere else; it is still told in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.model.plan import Json, JsonObject, Verdict
from executor.contract import StepFailed


@dataclass(frozen=True, slots=True)
class Place:
    """A collection of a store."""

    store: str
    collection: str

    def __str__(self) -> str:
        return f"{self.store}.{self.collection}"


def _wrong(name: str, expected: str, value: Json) -> StepFailed:
    got = "nothing" if value is None else type(value).__name__
    return StepFailed(f"the parameter '{name}' must be {expected}, not {got}", verdict=Verdict.ABSENT)


def text(params: JsonObject, name: str, default: str | None = None) -> str:
    """A string that must be there, unless there is a default."""
    value = params.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    return value


def flag(params: JsonObject, name: str, default: bool = False) -> bool:
    value = params.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return value


def number(params: JsonObject, name: str, default: float) -> float:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(name, "a number", value)
    return value


def words(params: JsonObject, name: str) -> tuple[str, ...]:
    """A list of strings; empty if it is not there. Numbers in it are spelled out, as YAML writes
    ``[sleep, 1]`` for a command."""
    value = params.get(name)
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise _wrong(name, "a list", value)
    for item in value:
        if isinstance(item, bool) or not isinstance(item, (str, int, float)):
            raise _wrong(name, "a list of strings", item)
    return tuple(str(item) for item in value)


def mapping(params: JsonObject, name: str) -> JsonObject:
    """A mapping; empty if it is not there."""
    value = params.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong(name, "a mapping", value)
    return value


def mappings(params: JsonObject, name: str) -> tuple[JsonObject, ...]:
    """A list of mappings; empty if it is not there."""
    value = params.get(name)
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise _wrong(name, "a list", value)
    found: list[JsonObject] = []
    for item in value:
        if not isinstance(item, Mapping):
            raise _wrong(name, "a list of mappings", item)
        found.append(item)
    return tuple(found)


def place(params: JsonObject, name: str) -> Place:
    """``{"store": …, "collection": …}`` under ``name``."""
    return place_of(mapping(params, name))


def place_of(value: JsonObject) -> Place:
    """The place that a mapping names."""
    return Place(text(value, "store"), text(value, "collection"))
