"""The steps of a transform, one by one and together."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from bson import Decimal128, Int64, ObjectId

from compiler.model.plan import Json
from executor.contract import FordwayError
from executor.transform.closure import compile_transform
from executor.transform.rejection import Rejected


def run(document: dict[str, object], *steps: Json) -> dict[str, object] | None:
    """Transform a document."""
    return compile_transform({"steps": steps}, base=Path())(document)


def reason(document: dict[str, object], *steps: Json) -> str:
    """Why a transform rejects a document."""
    with pytest.raises(Rejected) as caught:
        run(document, *steps)
    return caught.value.reason


def test_no_steps() -> None:
    """Without steps a document stays as it is."""
    assert compile_transform({}, base=Path())({"_id": 1, "a": [1]}) == {"_id": 1, "a": [1]}


def test_rename() -> None:
    """A rename moves fields, also out of and into nested ones; a missing one is passed over."""
    step = {"rename": {"a.b": "x", "c": "y.z", "none": "w"}}
    assert run({"a": {"b": 1, "k": 2}, "c": 3}, step) == {"a": {"k": 2}, "x": 1, "y": {"z": 3}}


def test_rename_swaps() -> None:
    """Two fields can take each other's name in one step."""
    assert run({"a": 1, "b": 2}, {"rename": {"a": "b", "b": "a"}}) == {"a": 2, "b": 1}


def test_rename_overwrites_nothing() -> None:
    """A rename onto a field that has a value is rejected; onto null it is done."""
    assert "'b', which is there already" in reason({"a": 1, "b": 2}, {"rename": {"a": "b"}})
    assert run({"a": 1, "b": None}, {"rename": {"a": "b"}}) == {"b": 1}


def test_cast() -> None:
    """A cast changes values that are there; null and missing stay."""
    step = {"cast": {"n": "int", "m.d": "datetime", "null": "int", "none": "int"}}
    document = {"n": "5", "m": {"d": "2020-01-01"}, "null": None}
    assert run(document, step) == {"n": 5, "m": {"d": datetime(2020, 1, 1, tzinfo=UTC)}, "null": None}


def test_cast_tells_path_type_and_value() -> None:
    """A value that cannot be cast is rejected with path, type and value, and a long one is shortened."""
    assert reason({"a": {"n": "many"}}, {"cast": {"a.n": "int"}}) == "cast: 'a.n' cannot become int: 'many'"
    assert len(reason({"n": "x" * 10**6}, {"cast": {"n": "int"}})) < 120


def test_default() -> None:
    """A default fills what is missing or null, and leaves what is there, be it empty."""
    step = {"default": {"a": 1, "b": 2, "c": 3, "m.x": []}}
    assert run({"a": None, "b": ""}, step) == {"a": 1, "b": "", "c": 3, "m": {"x": []}}


def test_default_is_each_documents_own() -> None:
    """Two documents never share the list that a default gave them."""
    transform = compile_transform({"steps": [{"default": {"tags": []}}]}, base=Path())
    first, second = transform({}), transform({})
    assert first is not None
    assert second is not None
    assert first["tags"] is not second["tags"]


def test_default_of_any_type() -> None:
    """A default may be extended JSON."""
    step = {"default": {"a": {"$numberLong": "5"}, "b": {"$date": "2020-01-01T00:00:00Z"}}}
    result = run({}, step)
    assert result == {"a": 5, "b": datetime(2020, 1, 1, tzinfo=UTC)}
    assert type(result["a"]) is Int64


@pytest.mark.parametrize("value", [{"$oid": "no"}, {"$date": "no"}, 2**70, {"$numberLong": 2**70}])
def test_default_that_cannot_be_stored(value: Json) -> None:
    """A default that is no BSON value is told before any document is read."""
    with pytest.raises(FordwayError, match=r"step 1 \(default\)"):
        run({}, {"default": {"a": value}})


def test_drop() -> None:
    """A drop removes fields and passes over those that are missing."""
    assert run({"a": 1, "b": {"c": 2, "d": 3}}, {"drop": ["a", "b.c", "x.y"]}) == {"b": {"d": 3}}


@pytest.mark.parametrize("value", ["1", 1, 1.0, Int64(1), Decimal128("1")], ids=repr)
def test_map(value: object) -> None:
    """A table's keys are text, and every spelling of the number one is 1."""
    assert run({"s": value}, {"map": {"s": {"values": {"1": "live"}}}}) == {"s": "live"}


def test_map_of_other_types() -> None:
    """Booleans and ObjectIds are looked up by their text; a replacement may be null."""
    oid = ObjectId()
    step: Json = {"map": {"a": {"values": {"true": "yes"}}, "b": {"values": {str(oid): None}}}}
    assert run({"a": True, "b": oid}, step) == {"a": "yes", "b": None}


def test_map_otherwise() -> None:
    """What is not in the table becomes 'otherwise', or is rejected where there is none."""
    table = {"values": {"0": "draft"}}
    assert run({"s": 7}, {"map": {"s": table | {"otherwise": None}}}) == {"s": None}
    assert run({"s": [1]}, {"map": {"s": table | {"otherwise": "unknown"}}}) == {"s": "unknown"}
    assert reason({"s": 7}, {"map": {"s": table}}) == "map: 's' has a value that is not listed: 7"
    assert run({"s": None}, {"map": {"s": table}}) == {"s": None}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "missing"),
        ({"a": None}, "null"),
        ({"a": ""}, "empty"),
        ({"a": " \n"}, "empty"),
        ({"a": []}, "empty"),
        ({"a": {}}, "empty"),
    ],
)
def test_require(document: dict[str, object], told: str) -> None:
    """A field that is required and missing, null or empty rejects the document."""
    assert reason(document, {"require": ["a"]}) == f"require: 'a' is {told}"


@pytest.mark.parametrize("value", [0, False, "x", [None], 0.0])
def test_require_takes_what_is_there(value: object) -> None:
    """Zero and false are values."""
    assert run({"a": value}, {"require": ["a"]}) == {"a": value}


def test_filter() -> None:
    """A filter that is false takes the document out, and later steps do not see it."""
    steps: list[Json] = [{"filter": "status != 'deleted'"}, {"cast": {"n": "int"}}]
    assert run({"status": "deleted", "n": "bad"}, *steps) is None
    assert run({"n": "1"}, *steps) == {"n": 1}


def test_template() -> None:
    """A template's text is put at its path; all templates of a step see the same document."""
    step = {"template": {"a": "{{ b }}!", "b": "{{ a }}?", "m.c": "x"}}
    assert run({"a": "1", "b": "2"}, step) == {"a": "2!", "b": "1?", "m": {"c": "x"}}


def test_order_of_steps() -> None:
    """Steps run in their order."""
    steps: list[Json] = [
        {"rename": {"n": "m"}},
        {"cast": {"m": "int"}},
        {"filter": "m > 1"},
        {"drop": ["m"]},
    ]
    assert run({"n": "2"}, *steps) == {}
    assert run({"n": "1"}, *steps) is None


def test_order_of_keys_has_no_meaning() -> None:
    """Two spellings of a step that differ in the order of keys give the same document, in the same order."""
    one = run(
        {"a": 1, "b": 2}, {"rename": {"a": "x", "b": "y"}}, {"default": {"q": {"k": 1, "j": 2}, "p": 0}}
    )
    two = run(
        {"a": 1, "b": 2}, {"rename": {"b": "y", "a": "x"}}, {"default": {"p": 0, "q": {"j": 2, "k": 1}}}
    )
    assert one is not None
    assert two is not None
    assert str(one) == str(two)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"explode": 1}, "unknown kind 'explode'"),
        ({"drop": [], "rename": {}}, "one key"),
        ({"cast": {"a": "money"}}, "unknown type 'money'"),
        ({"filter": "a =="}, r"step 1 \(filter\): line 1"),
        ({"template": {"a": "{{ a"}}, r"step 1 \(template\): line 1"),
        ({"python": "./none.py:f"}, "none.py cannot be read"),
        ({"rename": ["a"]}, "mapping was expected"),
        ({"drop": "a"}, "list of paths was expected"),
    ],
)
def test_bad_specification(step: Json, told: str) -> None:
    """What a schema cannot see is told when the transform is compiled, with the step's number."""
    with pytest.raises(FordwayError, match=told):
        run({}, step)
