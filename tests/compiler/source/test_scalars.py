"""Plain scalars by YAML 1.2."""

from __future__ import annotations

import pytest

from compiler.source.scalars import NumberRange, resolve


@pytest.mark.parametrize(
    "text", ["no", "yes", "on", "off", "y", "n", "12:30:00", "2026-01-31", "1_000", "=", "<<"]
)
def test_what_yaml_1_1_would_turn_into_something_else_stays_text(text: str) -> None:
    """Truth words, sexagesimals, dates and digit groups are text in YAML 1.2."""
    assert resolve(text) == text


@pytest.mark.parametrize("text", ["017", "-007", "00", "01.5"])
def test_a_leading_zero_makes_text(text: str) -> None:
    """Octal to one reader and decimal to another, it is kept as it is written."""
    assert resolve(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("0o17", 15),
        ("0x1F", 31),
        (str(2**63 - 1), 2**63 - 1),
        (str(-(2**63)), -(2**63)),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("6.02e23", 6.02e23),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_the_core_schemas_scalars_have_its_values(text: str, value: object) -> None:
    """Numbers, truth values and null as the core schema spells them."""
    found = resolve(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".inf", "-.Inf", "1e999", str(2**63), "9" * 5000])
def test_a_number_that_cannot_be_kept_is_refused(text: str) -> None:
    """Neither NaN, infinities nor integers beyond 64 bits get through, and a huge one costs nothing."""
    with pytest.raises(NumberRange):
        resolve(text)


def test_a_huge_number_is_not_repeated_in_its_message() -> None:
    """A number of a million digits is named by its beginning."""
    with pytest.raises(NumberRange, match="1000000 characters") as caught:
        resolve("9" * 1_000_000)
    assert len(str(caught.value)) < 100
