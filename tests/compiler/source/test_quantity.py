"""Durations and sizes."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.model.plan import Json
from compiler.source.quantity import Duration, DurationUnit, Size, SizeUnit, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("90s", 90.0), ("30m", 1800.0), ("1.5h", 5400.0), ("5d", 432000.0), ("0s", 0.0)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    """Every unit is worth its seconds."""
    assert parse_duration(text, "m") == Duration(seconds=seconds)


@pytest.mark.parametrize(("unit", "seconds"), [("ms", 0.01), ("s", 10.0), ("m", 600.0), ("h", 36000.0)])
def test_a_bare_number_has_the_fields_unit_and_says_so(unit: DurationUnit, seconds: float) -> None:
    """The caller can warn."""
    assert parse_duration(10, unit) == Duration(seconds=seconds, bare=True)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "5",
        "5 s",
        "5min",
        "-5s",
        "5S",
        "1e3s",
        "s",
        "5s ",
        "٥s",
        None,
        True,
        [],
        {},
        -1,
        1e300,
        float("nan"),
    ],
)
def test_anything_else_is_no_duration(value: Json) -> None:
    """ValueError, and no other exception."""
    with pytest.raises(ValueError, match="a duration is"):
        parse_duration(value, "s")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1B", 1),
        ("512KB", 512_000),
        ("3MB", 3_000_000),
        ("2GiB", 2 * 2**30),
        ("1.5 KiB", 1536),
        ("1TB", 10**12),
    ],
)
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    """Decimal and binary units are told apart."""
    assert parse_size(text, "MB") == Size(bytes=size)


@pytest.mark.parametrize("value", ["", "5", "5M", "5mb", "5 bytes", "-1MB", None, True, [], -1, 1e300, 2**63])
def test_anything_else_is_no_size(value: Json) -> None:
    """ValueError, and no other exception."""
    with pytest.raises(ValueError, match="a size is"):
        parse_size(value, "MB")


@given(st.integers(0, 10_000), st.sampled_from(get_args(DurationUnit)))
def test_a_bare_number_means_what_its_unit_would_say(number: int, unit: DurationUnit) -> None:
    """Writing the unit that the field has by tradition changes nothing but the warning."""
    bare = parse_duration(number, unit)
    assert bare.bare and parse_duration(f"{number}{unit}", "d") == Duration(seconds=bare.seconds)


@given(st.integers(0, 10_000), st.sampled_from(get_args(SizeUnit)))
def test_a_bare_size_means_what_its_unit_would_say(number: int, unit: SizeUnit) -> None:
    """The same for sizes."""
    bare = parse_size(number, unit)
    assert bare.bare and parse_size(f"{number}{unit}", "B") == Size(bytes=bare.bytes)
