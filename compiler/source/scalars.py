"""Plain scalars by YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema).

PyYAML's own resolver is YAML 1.1's: it reads ``no``, ``on``, ``017`` and ``12:30:00`` as a truth value,
an octal number and a number to the base of 60. One thing is stricter here than in the core schema: a
decimal number with a leading zero stays text, because it is octal to one reader and decimal to another,
and more often an identifier than either.
"""

from __future__ import annotations

import re
from typing import Union

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN", re.ASCII)
_NUMBER_START = frozenset("+-.0123456789")

LOWEST, HIGHEST = -(2**63), 2**63 - 1


class NumberRange(ValueError):
    """A number that cannot be kept; the message says why."""


def resolve(text: str) -> Union[bool, int, float, str, None]:
    """The value of a plain scalar. Raises NumberRange.

    >>> [resolve(text) for text in ("no", "0o17", "017", "1e3", "~", "True", "12:30:00")]
    ['no', 15, '017', 1000.0, None, True, '12:30:00']
    """
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if text[0] not in _NUMBER_START:
        return text
    if _INTEGER.fullmatch(text):
        return integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise NumberRange(f"{_short(text)} is too large for a 64-bit float")
        return number
    if _NOT_FINITE.fullmatch(text):
        raise NumberRange(f"{text} is not a number that can be compared or written as JSON")
    return text


def integer(text: str) -> int:
    """The value of an integer of the core schema. Raises NumberRange beyond 64 bits, signed."""
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    digits = text[2:] if base != 10 else text
    # int() refuses thousands of decimal digits with an error of its own.
    if len(digits.lstrip("+-0")) <= 32:
        number = int(digits, base)
        if LOWEST <= number <= HIGHEST:
            return number
    raise NumberRange(f"{_short(text)} does not fit 64 bits")


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:30]}… ({len(text)} characters)"
