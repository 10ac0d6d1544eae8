"""Durations and sizes as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from compiler.model.plan import Json

DurationUnit = Literal["ms", "s", "m", "h", "d"]
SizeUnit = Literal["B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"]

SECONDS: dict[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES: dict[str, int] = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}

_NUMBER = r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,15})?)"
_DURATION = re.compile(rf"{_NUMBER}(?P<unit>ms|s|m|h|d)")
_SIZE = re.compile(rf"{_NUMBER} ?(?P<unit>[KMGT]i?B|B)")


LONGEST = 36_500 * 86_400.0
"""Seconds; a longer duration is a slip of the pen."""
LARGEST = 2**63 - 1
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """``bare``: it was written without its unit and read in the field's own."""

    seconds: float
    bare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """``bare``: it was written without its unit and read in the field's own."""

    bytes: int
    bare: bool = False


def parse_duration(value: Json, default_unit: DurationUnit) -> Duration:
    """A duration from ``90s``, ``1.5h`` or a bare number in ``default_unit``. Raises ValueError.

    >>> parse_duration("1.5h", "m"), parse_duration(90, "m")
    (Duration(seconds=5400.0, bare=False), Duration(seconds=5400.0, bare=True))
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Duration(seconds=_seconds(value, default_unit), bare=True)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is a number and a unit: 500ms, 90s, 30m, 2h, 5d")
    return Duration(seconds=_seconds(float(match["number"]), match["unit"]))


def parse_size(value: Json, default_unit: SizeUnit) -> Size:
    """A size from ``256MB``, ``1.5GiB`` or a bare number in ``default_unit``. Raises ValueError.

    >>> parse_size("1KiB", "MB"), parse_size(3, "MB")
    (Size(bytes=1024, bare=False), Size(bytes=3000000, bare=True))
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Size(bytes=_bytes(value, default_unit), bare=True)
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a size is a number and a unit: 512KB, 256MB, 2GiB")
    return Size(bytes=_bytes(float(match["number"]), match["unit"]))


def _seconds(number: float, unit: str) -> float:
    seconds = number * SECONDS[unit]
    if not 0 <= seconds <= LONGEST:
        raise ValueError("a duration is not negative and at most 36,500 days")
    # To the microsecond, so that one duration written in two units is one number.
    return round(seconds, 6)


def _bytes(number: float, unit: str) -> int:
    size = number * BYTES[unit]
    if not 0 <= size <= LARGEST:
        raise ValueError("a size is not negative and fits 63 bits")
    return round(size)
