"""The casts: what a value becomes as another type, and what it refuses to become.

A cast never loses in silence: what the target type cannot hold exactly is refused (but for a decimal
that becomes a double, and for digits of a date beyond the millisecond, which BSON does not have).
Text is read strictly: plain ASCII numbers with white space around them at most, no ``1_000``, no ``0x10``,
no ``inf``.

========  =====================================================================================
to        from
========  =====================================================================================
string    numbers (shortest form that reads back), booleans (``true``/``false``), ObjectIds, UUIDs,
          dates (ISO 8601, UTC, milliseconds)
int       whole numbers of 64 bits, whole text, booleans (1, 0), dates (milliseconds since 1970);
          stored as BSON int32 where it fits, else int64
long      the same, always stored as BSON int64
double    numbers that a double holds, decimals, numeric text, booleans
decimal   numbers, numeric text of at most 34 digits, booleans
bool      0 and 1; the texts true/false, yes/no, on/off, t/f, y/n, 1/0 in any case
datetime  ISO 8601 text (without an offset: UTC), numbers (milliseconds since 1970, as in JavaScript),
          ObjectIds and timestamps (their own time)
objectid  text of 24 hexadecimal digits
========  =====================================================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from bson import Binary, DatetimeMS, Decimal128, Int64, ObjectId, Timestamp
from bson.binary import UUID_SUBTYPE

_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_HEX = re.compile(r"[0-9a-fA-F]{24}")
_TRUE = frozenset({"true", "yes", "on", "t", "y", "1"})
_FALSE = frozenset({"false", "no", "off", "f", "n", "0"})
_LONGEST = 1000  # characters; no number and no date is longer, and a regular expression takes its time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_FIRST = -62135596800000  # 0001-01-01, in milliseconds since 1970
_LAST = 253402300799999  # 9999-12-31T23:59:59.999


class Unfit(Exception):
    """The value cannot become that type."""


def to_string(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return format(int(value), "d")
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, (Decimal128, ObjectId)):
        return str(value)
    if isinstance(value, datetime):
        return _utc(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Binary) and value.subtype == UUID_SUBTYPE and len(value) == 16:
        return str(value.as_uuid())
    raise Unfit


def _float_text(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def to_int(value: object) -> int:
    number = _whole(value)
    return number if -(2**31) <= number < 2**31 else Int64(number)


def to_long(value: object) -> Int64:
    return Int64(_whole(value))


def _whole(value: object) -> int:
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):  # booleans too
        number = int(value)
    elif isinstance(value, str) and _WHOLE.fullmatch(text := _trimmed(value)):
        number = int(text)
    elif isinstance(value, Decimal128):
        number = _whole_decimal(value)
    elif isinstance(value, (datetime, DatetimeMS)):
        number = _milliseconds(value)
    else:
        raise Unfit
    if not -(2**63) <= number < 2**63:
        raise Unfit
    return number


def _whole_decimal(value: Decimal128) -> int:
    decimal = value.to_decimal()
    # The exponent first: 1E+6000 is whole, and has no place in 64 bits or in anybody's memory.
    if not decimal.is_finite() or decimal.adjusted() > 20 or decimal != decimal.to_integral_value():
        raise Unfit
    return int(decimal)


def to_double(value: object) -> float:
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        try:
            number = float(value)
        except OverflowError:
            raise Unfit from None
        if int(number) != value:
            raise Unfit
        return number
    if isinstance(value, Decimal128):
        return _finite_unless(float(value.to_decimal()), not value.to_decimal().is_finite())
    if isinstance(value, str) and _NUMBER.fullmatch(text := _trimmed(value)):
        return _finite_unless(float(text), False)
    raise Unfit


def _finite_unless(number: float, allowed: bool) -> float:
    if not allowed and not math.isfinite(number):
        raise Unfit
    return number


def to_decimal(value: object) -> Decimal128:
    if isinstance(value, Decimal128):
        return value
    if isinstance(value, float):
        text = _float_text(value)
    elif isinstance(value, int):
        text = format(int(value), "d")
    elif isinstance(value, str) and _NUMBER.fullmatch(trimmed := _trimmed(value)):
        text = trimmed
    else:
        raise Unfit
    try:
        return Decimal128(text)
    except ArithmeticError:  # more than 34 digits, or beyond the exponent's range
        raise Unfit from None


def to_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) < _LONGEST:
        word = value.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    elif isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    raise Unfit


def to_datetime(value: object) -> datetime | DatetimeMS:
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, DatetimeMS):
        return value
    if isinstance(value, str):
        return _utc(_parsed(_trimmed(value)))
    if isinstance(value, bool):
        raise Unfit
    if isinstance(value, (int, float, Decimal128)):
        return _from_milliseconds(_floored(value))
    if isinstance(value, ObjectId):
        return value.generation_time
    if isinstance(value, Timestamp):
        return value.as_datetime()
    raise Unfit


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Unfit from None


def _utc(value: datetime) -> datetime:
    """In UTC, and cut to the millisecond as BSON does; without an offset it is UTC already."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    elif value.tzinfo is not UTC:
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            raise Unfit from None
    over = value.microsecond % 1000
    return value.replace(microsecond=value.microsecond - over) if over else value


def _floored(value: int | float | Decimal128) -> int:
    if isinstance(value, Decimal128):
        decimal = value.to_decimal()
        if not decimal.is_finite() or decimal.adjusted() > 20:
            raise Unfit
        return math.floor(decimal)
    if isinstance(value, float) and not math.isfinite(value):
        raise Unfit
    return math.floor(value)


def _from_milliseconds(number: int) -> datetime | DatetimeMS:
    if _FIRST <= number <= _LAST:
        return _EPOCH + number * _MILLISECOND
    if -(2**63) <= number < 2**63:
        return DatetimeMS(number)
    raise Unfit


def _milliseconds(value: datetime | DatetimeMS) -> int:
    return int(value) if isinstance(value, DatetimeMS) else (_utc(value) - _EPOCH) // _MILLISECOND


def to_objectid(value: object) -> ObjectId:
    if isinstance(value, ObjectId):
        return value
    if isinstance(value, str) and _HEX.fullmatch(text := _trimmed(value)):
        return ObjectId(text)
    raise Unfit


def _trimmed(text: str) -> str:
    if len(text) > _LONGEST:
        raise Unfit
    return text.strip()


CASTS: Mapping[str, Callable[[object], object]] = {
    "bool": to_bool,
    "datetime": to_datetime,
    "decimal": to_decimal,
    "double": to_double,
    "int": to_int,
    "long": to_long,
    "objectid": to_objectid,
    "string": to_string,
}
"""Target type → cast. A cast raises Unfit; it is never asked about None."""
