"""What values become as another type, and what they refuse to become."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import bson
import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from executor.transform.casts import CASTS, Unfit
from tests.transform.values import NEWEST, SCALARS

OID = ObjectId("5f0c1d2e3a4b5c6d7e8f9a0b")
MOMENT = datetime(2020, 2, 29, 12, 30, 15, 678000, tzinfo=UTC)


def same(left: object, right: object) -> bool:
    """Equal to the byte: 1, 1.0, Int64(1) and True are four things."""
    return bson.encode({"v": left}) == bson.encode({"v": right})


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "as it is", "as it is"),
        ("string", True, "true"),
        ("string", Int64(-7), "-7"),
        ("string", 1.0, "1.0"),
        ("string", 1e300, "1e+300"),
        ("string", math.nan, "NaN"),
        ("string", -math.inf, "-Infinity"),
        ("string", Decimal128("1.10"), "1.10"),
        ("string", OID, str(OID)),
        ("string", MOMENT, "2020-02-29T12:30:15.678Z"),
        ("string", Binary(UUID(int=5).bytes, 4), "00000000-0000-0000-0000-000000000005"),
        ("string", Code("f()"), "f()"),
        ("int", " 42 ", 42),
        ("int", "-0042", -42),
        ("int", 42.0, 42),
        ("int", True, 1),
        ("int", Int64(42), 42),
        ("int", 2**31 - 1, 2**31 - 1),
        ("int", "2147483648", Int64(2**31)),
        ("int", "-9223372036854775808", Int64(-(2**63))),
        ("int", Decimal128("4.2E1"), 42),
        ("int", MOMENT, Int64(1582979415678)),
        ("int", DatetimeMS(-5), -5),
        ("long", 42, Int64(42)),
        ("long", "42", Int64(42)),
        ("double", 42, 42.0),
        ("double", "1e3", 1000.0),
        ("double", ".5", 0.5),
        ("double", "-5.", -5.0),
        ("double", "0.1", 0.1),
        ("double", Decimal128("0.1"), 0.1),
        ("double", Decimal128("Infinity"), math.inf),
        ("double", math.nan, math.nan),
        ("double", False, 0.0),
        ("decimal", "12.340", Decimal128("12.340")),
        ("decimal", 0.1, Decimal128("0.1")),
        ("decimal", Int64(2**63 - 1), Decimal128("9223372036854775807")),
        ("decimal", math.inf, Decimal128("Infinity")),
        ("decimal", True, Decimal128("1")),
        ("bool", "Yes", True),
        ("bool", " off ", False),
        ("bool", 0, False),
        ("bool", 1.0, True),
        ("bool", Int64(1), True),
        ("datetime", "2020-02-29T12:30:15.678Z", MOMENT),
        ("datetime", "2020-02-29T14:30:15.678999+02:00", MOMENT),
        ("datetime", "2020-02-29 12:30:15.678", MOMENT),
        ("datetime", "2020-02-29", datetime(2020, 2, 29, tzinfo=UTC)),
        ("datetime", 1582979415678, MOMENT),
        ("datetime", Int64(1582979415678), MOMENT),
        ("datetime", 1582979415678.9, MOMENT),
        ("datetime", Decimal128("1582979415678"), MOMENT),
        ("datetime", -1, datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
        ("datetime", 253402300799999, NEWEST),
        ("datetime", 253402300800000, DatetimeMS(253402300800000)),
        ("datetime", DatetimeMS(2**62), DatetimeMS(2**62)),
        ("datetime", OID, OID.generation_time),
        ("datetime", Timestamp(1582979415, 7), datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)),
        ("datetime", datetime(2020, 2, 29, 12, 30, 15, 678999), MOMENT),
        ("datetime", MOMENT.astimezone(timezone(timedelta(hours=5))), MOMENT),
        ("objectid", str(OID), OID),
        ("objectid", str(OID).upper(), OID),
        ("objectid", OID, OID),
    ],
)
def test_cast(kind: str, value: object, expected: object) -> None:
    """Each cast gives exactly the documented value and BSON type."""
    assert same(CASTS[kind](value), expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", b"bytes"),
        ("string", Regex("x")),
        ("string", DatetimeMS(2**62)),
        ("string", Binary(b"12", 4)),
        ("string", []),
        ("int", "1_000"),
        ("int", "1e3"),
        ("int", "0x10"),
        ("int", "٤٢"),
        ("int", ""),
        ("int", "4.0"),
        ("int", 4.5),
        ("int", math.nan),
        ("int", math.inf),
        ("int", "9223372036854775808"),
        ("int", 1e19),
        ("int", Decimal128("4.5")),
        ("int", Decimal128("1E+6000")),
        ("int", Decimal128("NaN")),
        ("int", "9" * 100_000),
        ("long", {}),
        ("double", "inf"),
        ("double", "NaN"),
        ("double", "1e999"),
        ("double", "1,5"),
        ("double", "."),
        ("double", Int64(2**53 + 1)),
        ("double", 10**400),
        ("decimal", "1" * 35),
        ("decimal", "1e9999"),
        ("decimal", "NaN"),
        ("decimal", []),
        ("bool", "maybe"),
        ("bool", 2),
        ("bool", math.nan),
        ("bool", ""),
        ("datetime", "yesterday"),
        ("datetime", "2020-02-30"),
        ("datetime", "29/02/2020"),
        ("datetime", "1582979415678"),
        ("datetime", "0001-01-01T00:00:00+14:00"),
        ("datetime", True),
        ("datetime", math.nan),
        ("datetime", 1e300),
        ("datetime", Decimal128("1E+6000")),
        ("datetime", Decimal128("-1E+6000")),
        ("objectid", "5f0c"),
        ("objectid", "g" * 24),
        ("objectid", b"123456789012"),
        ("objectid", 5),
    ],
)
def test_unfit(kind: str, value: object) -> None:
    """What the type cannot hold exactly, or is written loosely, is refused and never guessed."""
    with pytest.raises(Unfit):
        CASTS[kind](value)


@given(st.sampled_from(sorted(CASTS)), SCALARS | st.just(MinKey()))
def test_total(kind: str, value: object) -> None:
    """A cast of any value gives a value that can be stored and that it leaves alone, or is refused."""
    if value is None:
        return
    try:
        once = CASTS[kind](value)
    except Unfit:
        return
    assert same(CASTS[kind](once), once)


@given(st.integers(-62135596800000, 253402300799999))
def test_dates_and_milliseconds(number: int) -> None:
    """A date and its milliseconds since 1970 become each other."""
    assert CASTS["long"](CASTS["datetime"](number)) == number


@given(st.floats())
def test_doubles_survive_text(number: float) -> None:
    """A double that becomes text and a double again is the same, unless it is not finite."""
    text = CASTS["string"](number)
    if math.isfinite(number):
        assert same(CASTS["double"](text), number)
