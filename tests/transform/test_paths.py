"""Dotted paths."""

from __future__ import annotations

import copy

import pytest

from executor.transform.paths import MISSING, changer, getter, setter, taker
from executor.transform.rejection import Rejected

DOCUMENT = {"a": {"b": {"c": 1}}, "list": [{"x": 1}, {"x": 2}], "null": None, "text": "t"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("text", "t"),
        ("a.b.c", 1),
        ("list.1.x", 2),
        ("null", None),
        ("none", MISSING),
        ("a.none.c", MISSING),
        ("null.x", MISSING),
        ("text.x", MISSING),
        ("list.2.x", MISSING),
        ("list.-1.x", MISSING),
        ("list.x", MISSING),
    ],
)
def test_get(path: str, value: object) -> None:
    """A path reads through mappings and lists; one that leads nowhere is missing, which null is not."""
    assert getter(path)(DOCUMENT) == value


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("new", {"new": 0}),
        ("a.new", {"a": {"b": {"c": 1}, "new": 0}}),
        ("x.y.z", {"x": {"y": {"z": 0}}}),
        ("null.y", {"null": {"y": 0}}),
        ("list.0.x", {"list": [{"x": 0}, {"x": 2}]}),
        ("list.1", {"list": [{"x": 1}, 0]}),
    ],
)
def test_set(path: str, expected: dict[str, object]) -> None:
    """Setting makes the mappings that are missing or null on the way."""
    document = copy.deepcopy(DOCUMENT)
    setter(path)(document, 0)
    assert document == DOCUMENT | expected


@pytest.mark.parametrize("path", ["text.x", "list.5", "list.5.x", "list.y", "a.b.c.d"])
def test_in_the_way(path: str) -> None:
    """Something else in the way is not overwritten."""
    with pytest.raises(Rejected, match="cannot be set"):
        setter(path)(copy.deepcopy(DOCUMENT), 0)


def test_take() -> None:
    """Taking removes the field and leaves the mapping that held it."""
    document = copy.deepcopy(DOCUMENT)
    assert taker("a.b.c")(document) == 1
    assert taker("list.0.x")(document) == 1
    assert taker("list.0")(document) is MISSING
    assert taker("text.x")(document) is MISSING
    assert document == DOCUMENT | {"a": {"b": {}}, "list": [{}, {"x": 2}]}


def test_change() -> None:
    """A change sees values that are there, and neither null nor missing."""
    document = copy.deepcopy(DOCUMENT)
    for path in ("text", "a.b.c", "null", "none", "a.none", "list.1.x", "text.x"):
        changer(path, lambda value: [value])(document)
    assert document == {
        "a": {"b": {"c": [1]}},
        "list": [{"x": 1}, {"x": [2]}],
        "null": None,
        "text": ["t"],
    }
