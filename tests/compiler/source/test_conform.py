"""Validation against the schemas: the verdict of an independent validator, in readable words."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from compiler.diagnostics import Collector
from compiler.source.conform import conform
from compiler.source.read import read_yaml
from compiler.source.tree import MappingNode

COMPLETE = Path(__file__).parent / "complete"
UNREADABLE = ("is not valid under any", "does not match", "schema", "oneOf", "anyOf", "regex", "^[")


def _plan() -> Any:
    node = read_yaml((COMPLETE / "plan.yaml").read_bytes(), "plan.yaml", Collector())
    assert node is not None
    plan: Any = node.plain()
    # These stand for values that only bind knows.
    task = plan["phases"][1]["tasks"][0]
    task["idempotent"], task["action"]["bulk"]["batchSize"] = True, 10
    task["action"]["bulk"]["errorThreshold"] = 1
    return plan


PLAN = _plan()


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in _places(item, (*path, key)))]


PLACES = [place for place in _places(PLAN) if place and place[0] not in ("apiVersion", "kind")]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 200),
    st.floats(-2, 2, allow_nan=False),
    st.sampled_from(["", "x", "a.b", "5m", "3MB", "Hold", "mongodb", "bulk", "10", "a b"]),
    st.lists(st.sampled_from(["x", 1, None]), max_size=3),
    st.dictionaries(
        st.sampled_from(["id", "uri", "zz", "bulk", "steps", "fromEnv"]), st.just("x"), max_size=3
    ),
)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """The complete plan with one to three values replaced, removed, or given a stranger beside them."""
    plan = copy.deepcopy(PLAN)
    for place in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        holder = plan
        try:
            for step in place[:-1]:
                holder = holder[step]
            how = draw(st.sampled_from(["replace", "remove", "stranger"]))
            if how == "replace":
                holder[place[-1]] = draw(VALUES)
            elif how == "remove":
                del holder[place[-1]]
            elif isinstance(holder, dict):
                holder[f"{place[-1]}x"] = draw(VALUES)
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # an earlier mutation took the place away
    return plan


@settings(max_examples=300, deadline=None)
@given(plan=mutated())
def test_a_plan_is_refused_exactly_when_the_oracle_refuses_it(
    oracle: Callable[[str], Draft202012Validator], plan: Any
) -> None:
    """Whatever is done to a valid plan, the verdict is jsonschema's, each fault has a place, and no
    message speaks the language of schemas."""
    text = yaml.safe_dump(plan, sort_keys=False, allow_unicode=True)
    collector = Collector()
    root = read_yaml(text.encode(), "plan.yaml", collector)
    assert isinstance(root, MappingNode)
    conform(root, "MigrationPlan", collector)
    assert collector.failed == (not oracle("MigrationPlan").is_valid(root.plain()))
    for item in collector.diagnostics:
        assert item.span is not None
        assert item.detail
        assert not any(word in item.detail + item.hint for word in UNREADABLE), item


def test_every_fault_of_a_plan_is_told_at_once() -> None:
    """Seven faults in seven places are seven diagnostics of one run."""
    text = """apiVersion: plan/v1
kind: MigrationPlan
metadata: {name: Bad Name}
policy: {maxParallel: none, onFailur: hold}
stores: {a: {type: mongodb, uri: nowhere}}
phases:
  - id: one
    tasks: [{id: t, timeout: soon, action: {bulq: {}}}]
"""
    collector = Collector()
    root = read_yaml(text.encode(), "plan.yaml", collector)
    assert isinstance(root, MappingNode)
    conform(root, "MigrationPlan", collector)
    assert [(item.code, item.span and item.span.line) for item in collector.diagnostics] == [
        ("bad-format", 3),
        ("wrong-type", 4),
        ("unknown-key", 4),
        ("missing-key", 5),
        ("bad-format", 5),
        ("bad-format", 8),
        ("action-kind", 8),
    ]
