"""The canonical form and the seal."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.model.codec import CodecError, canonical, dump_plan, load_plan, seal, to_json
from compiler.model.plan import (
    FORMAT,
    CompiledPlan,
    Edge,
    Estimate,
    Guard,
    Inverse,
    PlanKind,
    Policy,
    Step,
    StoreSpec,
    Verdict,
)

PLAN = CompiledPlan(
    name="x",
    kind=PlanKind.PLAN,
    format=FORMAT,
    stores={"s": StoreSpec(type="mongodb", options={"uri": {"fromEnv": "URI"}})},
    steps=(
        Step(
            id="a",
            kind="bulk",
            params={"where": {"$or": [1, None, {"x": 2.5}]}},
            inverse=Inverse(summary="delete"),
            guard=Guard(step="p", verdicts=(Verdict.APPLIED,)),
            timeout=3,
        ),
        Step(id="b", kind="manual", estimate=Estimate(likely=2)),
    ),
    edges=(Edge(before="a", after="b"),),
    policy=Policy(max_parallel=2),
)


def test_round_trip() -> None:
    """A sealed plan reads back as the same value."""
    sealed = seal(PLAN)
    assert load_plan(dump_plan(sealed)) == sealed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("steps", 0, "params", "where"), {}),
        (("name",), "y"),
        (("edges",), []),
        (("policy", "maxParallel"), 3),
    ],
)
def test_an_edit_breaks_the_seal(path: tuple[str | int, ...], value: object) -> None:
    """A compiled file that was edited anywhere is refused."""
    document = json.loads(dump_plan(seal(PLAN)))
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(CodecError, match="digest"):
        load_plan(json.dumps(document).encode())


def test_white_space_and_location_do_not_matter() -> None:
    """The digest speaks of the plan, not of the file's looks or place."""
    sealed = seal(PLAN)
    moved = replace(sealed, location="../elsewhere")
    assert load_plan(json.dumps(json.loads(dump_plan(moved)), indent=7).encode()) == moved


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "not a compiled plan"),
        (b'{"digest": 1, "format": 99}', "format 99"),
        (b'{"digest": "x", "format": 1, "kind": "CompiledPlan", "name": 3}', "name"),
        (b'{"digest": "x", "format": 1, "kind": "Nonsense", "name": "a"}', "Nonsense"),
        (b'{"digest": "x", "format": 1, "kind": "CompiledPlan", "name": "a", "zz": 1}', "zz"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_compiled_plan(data: bytes, message: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(CodecError, match=message):
        load_plan(data)


def test_whole_numbers_and_fractions_of_the_same_value_are_one() -> None:
    """A duration given as 3 and as 3.0 gives the same bytes."""
    one = seal(replace(PLAN, steps=(Step(id="a", kind="bulk", timeout=3),)))
    other = seal(replace(PLAN, steps=(Step(id="a", kind="bulk", timeout=3.0),)))
    assert one.digest == other.digest


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**60), 2**60)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_canonical_form_reads_back(value: object) -> None:
    """The canonical form is JSON of the same value."""
    encoded = canonical(to_json(value))
    assert json.loads(encoded.decode("utf-8", "surrogatepass")) == value
