"""Trigger conditions: a small subset of CEL, in Kleene's three-valued logic.

Grammar, loosest first: ``||``, ``&&``, ``!``, one comparison (``< <= > >= == !=``), ``+ -``, ``* /``,
unary ``-``, then numbers, ``true``, ``false``, names and parentheses. Nothing else parses: no calls, no
strings, no members. A name without a value, NaN, an infinity and a division by zero are *unknown*;
unknown is never false, but ``false && unknown`` is false and ``true || unknown`` is true.

The syntax is that of the Common Expression Language (https://github.com/google/cel-spec); unlike CEL,
numbers are all doubles and an error is a value.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Value = bool | float | None
"""A sample: a truth, a number, or None for unknown."""

_TOKEN = re.compile(
    r"\s*(?:(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|([A-Za-z_][A-Za-z0-9_]*)|(\|\||&&|[<>=!]=|[-+*/<>!()]))"
)
_MAX_LENGTH = 1000
_MAX_DEPTH = 50

Kind = Literal["bool", "number"]

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


class ConditionError(ValueError):
    """The text is not a condition. ``offset`` counts characters from 0."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition. ``names`` are the metrics that it reads."""

    text: str
    kind: Kind
    names: frozenset[str]
    _evaluate: Callable[[Mapping[str, Value]], Value]

    def sample(self, metrics: Mapping[str, Value], threshold: float | None = None) -> bool | None:
        """True, false or unknown. A numeric condition is compared: ``value > threshold``."""
        value = self._evaluate(metrics)
        if self.kind == "number":
            if value is None or threshold is None:
                return None
            return value > threshold
        return None if value is None else bool(value)


@dataclass(frozen=True, slots=True)
class _Term:
    kind: Kind
    names: frozenset[str]
    evaluate: Callable[[Mapping[str, Value]], Value]


def parse(text: str) -> Condition:
    """Parse a condition. Raises ConditionError with the place.

    >>> parse("errorRate > 5 && read >= 100").sample({"errorRate": 7.0, "read": 50.0})
    False
    >>> parse("errorRate > 5 || lag > 3").sample({"errorRate": 7.0}) is True
    True
    """
    if len(text) > _MAX_LENGTH:
        raise ConditionError(f"longer than {_MAX_LENGTH} characters", _MAX_LENGTH)
    parser = _Parser(text)
    term = parser.expression(0)
    parser.end()
    return Condition(text, term.kind, term.names, term.evaluate)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._taken = 0
        """Where the operator that was taken last stands."""

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _offset(self) -> int:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else len(self._text)

    def _take(self, *wanted: str) -> str | None:
        if self._peek() not in wanted:
            return None
        symbol, self._taken = self._tokens[self._at]
        self._at += 1
        return symbol

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise ConditionError(f"'{self._peek()}' was not expected here", self._offset())

    def expression(self, depth: int) -> _Term:
        if depth > _MAX_DEPTH:
            raise ConditionError(f"nested deeper than {_MAX_DEPTH}", self._offset())
        term = self._conjunction(depth)
        while self._take("||"):
            term = _logic(term, self._conjunction(depth), True, self._taken)
        return term

    def _conjunction(self, depth: int) -> _Term:
        term = self._comparison(depth)
        while self._take("&&"):
            term = _logic(term, self._comparison(depth), False, self._taken)
        return term

    def _comparison(self, depth: int) -> _Term:
        left = self._sum(depth)
        place = self._offset()
        symbol = self._take(*_COMPARE)
        if symbol is None:
            return left
        return _binary(left, self._sum(depth), _COMPARE[symbol], "bool", place)

    def _sum(self, depth: int) -> _Term:
        term = self._product(depth)
        while symbol := self._take("+", "-"):
            term = _binary(term, self._product(depth), _ARITHMETIC[symbol], "number", self._taken)
        return term

    def _product(self, depth: int) -> _Term:
        term = self._unary(depth)
        while symbol := self._take("*", "/"):
            term = _binary(term, self._unary(depth), _ARITHMETIC[symbol], "number", self._taken)
        return term

    def _unary(self, depth: int) -> _Term:
        place = self._offset()
        if depth > _MAX_DEPTH:
            raise ConditionError(f"nested deeper than {_MAX_DEPTH}", place)
        if self._take("!"):
            return _negation(self._unary(depth + 1), place)
        if self._take("-"):
            return _binary(_constant(0.0, "number"), self._unary(depth + 1), operator.sub, "number", place)
        return self._primary(depth)

    def _primary(self, depth: int) -> _Term:
        place = self._offset()
        if self._take("("):
            term = self.expression(depth + 1)
            if not self._take(")"):
                raise ConditionError("a closing parenthesis is missing", self._offset())
            return term
        token = self._peek()
        if not token:
            raise ConditionError("a value is missing at the end", place)
        if token[0].isdigit():
            self._at += 1
            return _constant(float(token), "number")
        if token in ("true", "false"):
            self._at += 1
            return _constant(token == "true", "bool")
        if token[0].isalpha() or token[0] == "_":
            self._at += 1
            return _Term("number", frozenset({token}), lambda metrics: _known(metrics.get(token)))
        raise ConditionError(f"a value was expected, not '{token}'", place)


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            raise ConditionError(f"'{text[place]}' has no meaning in a condition", place)
        group = match.lastindex or 0
        yield match.group(group), match.start(group)
        at = match.end()


def _known(value: Value) -> Value:
    if value is None or isinstance(value, bool) or math.isfinite(value):
        return value
    return None


def _constant(value: bool | float, kind: Kind) -> _Term:
    return _Term(kind, frozenset(), lambda _: value)


def _need(term: _Term, kind: Kind, place: int) -> None:
    if term.kind != kind:
        raise ConditionError(
            "a comparison was expected, not a number" if kind == "bool" else "a number was expected here",
            place,
        )


def _binary(
    left: _Term, right: _Term, apply: Callable[[float, float], Value], kind: Kind, place: int
) -> _Term:
    _need(left, "number", place)
    _need(right, "number", place)

    def evaluate(metrics: Mapping[str, Value]) -> Value:
        a, b = left.evaluate(metrics), right.evaluate(metrics)
        if a is None or b is None:
            return None
        try:
            return _known(apply(a, b))
        except (ZeroDivisionError, OverflowError):
            return None

    return _Term(kind, left.names | right.names, evaluate)


def _logic(left: _Term, right: _Term, decides: bool, place: int) -> _Term:
    """``decides`` is the truth that settles the whole: true for ``||``, false for ``&&``."""
    _need(left, "bool", place)
    _need(right, "bool", place)

    def evaluate(metrics: Mapping[str, Value]) -> Value:
        values = (left.evaluate(metrics), right.evaluate(metrics))
        if decides in values:
            return decides
        return None if None in values else not decides

    return _Term("bool", left.names | right.names, evaluate)


def _negation(term: _Term, place: int) -> _Term:
    _need(term, "bool", place)

    def evaluate(metrics: Mapping[str, Value]) -> Value:
        value = term.evaluate(metrics)
        return None if value is None else not value

    return _Term("bool", term.names, evaluate)
