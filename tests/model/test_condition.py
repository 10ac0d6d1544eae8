"""Trigger conditions: what parses, and three-valued logic."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.model.condition import ConditionError, Value, parse


@pytest.mark.parametrize(
    ("text", "metrics", "expected"),
    [
        ("errorRate > 5", {"errorRate": 5.1}, True),
        ("errorRate > 5", {"errorRate": 5.0}, False),
        ("errorRate > 5", {}, None),
        ("errorRate > 5", {"errorRate": math.nan}, None),
        ("errorRate > 5", {"errorRate": math.inf}, None),
        ("a > 1 && b > 1", {"a": 0.0}, False),
        ("a > 1 && b > 1", {"a": 2.0}, None),
        ("a > 1 || b > 1", {"a": 2.0}, True),
        ("a > 1 || b > 1", {"a": 0.0}, None),
        ("!(a > 1)", {}, None),
        ("!(a > 1)", {"a": 0.0}, True),
        ("a / b > 1", {"a": 1.0, "b": 0.0}, None),
        ("1 + 2 * 3 == 7 && -a < 0", {"a": 1.0}, True),
        ("true || a > 1", {}, True),
    ],
)
def test_samples(text: str, metrics: dict[str, Value], expected: bool | None) -> None:
    """A sample is true, false or unknown, and unknown is never false."""
    assert parse(text).sample(metrics) is expected


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("", 0),
        ("errorRate >", 11),
        ("errorRate > 'x'", 12),
        ("a && b", 2),
        ("size(a) > 1", 4),
        ("a.b > 1", 1),
        ("(a > 1", 6),
        ("a > 1 b", 6),
        ("1 < 2 < 3", 6),
        ("a = 1", 2),
        ("(" * 60 + "1" + ")" * 60, 51),
        ("!" * 500 + "true", 51),
    ],
)
def test_what_does_not_parse(text: str, offset: int) -> None:
    """Nothing but the small language parses, and the error tells the place."""
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert caught.value.offset == offset


def test_number_is_compared_with_the_threshold() -> None:
    """A condition that is a number fires above the threshold, and is unknown without one."""
    condition = parse("errorRate * 2")
    assert condition.sample({"errorRate": 3.0}, 5.0) is True
    assert condition.sample({"errorRate": 3.0}, 6.0) is False
    assert condition.sample({"errorRate": 3.0}) is None


@given(st.text(alphabet="ab10 .<>=!&|()+-*/_\n\t\"'\\é\x00", max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    """No text makes the parser raise anything but ConditionError, or sample anything but a truth."""
    try:
        condition = parse(text)
    except ConditionError as error:
        assert 0 <= error.offset <= len(text)
    else:
        assert condition.sample({"a": 1.0, "b": None}, 1.0) in (True, False, None)
