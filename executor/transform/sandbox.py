"""Jinja without a way out: no access to Python's insides, no chance, and bounds on work and output.

The same document always gives the same text, and no template holds up a run. This is made against
mistakes and against hostile data; who may write a plan may run commands anyway.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import ChainableUndefined, Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

OUTPUT_LIMIT = 16 * 1024 * 1024
"""Characters that a template may render, at its end and on the way: a BSON document holds no more."""

WORK_LIMIT = 1_000_000
"""Loop turns of one rendering; a call counts for ten, a long text for some."""

_WIDEST = 10_000  # characters that padding may add
_LONGEST_NUMBER = 100_000  # bits
_WIDE_FORMAT = re.compile(r"%[^a-zA-Z%]*(?:\d{5}|\*)")
_PADDING = frozenset({"center", "expandtabs", "ljust", "rjust", "zfill"})

# Nothing that is random, that pads or repeats without a bound, or that makes HTML.
# fmt: off
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "format", "groupby",
    "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject",
    "rejectattr", "replace", "reverse", "round", "select", "selectattr", "sort", "string", "striptags",
    "sum", "title", "tojson", "trim", "truncate", "unique", "upper", "urlencode", "wordcount",
)
# fmt: on
GLOBALS = ("dict", "namespace", "range")


class _Unset(ChainableUndefined):
    """A field that is missing: equal to null, empty as text."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Undefined)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(None)


class _Meter(threading.local):
    left = WORK_LIMIT


_meter = _Meter()


def _charge(cost: int) -> None:
    _meter.left -= cost
    if _meter.left < 0:
        raise SecurityError("the template does not come to an end")


def _metered(items: Iterable[object] | None) -> Iterator[object]:
    for item in items if items is not None else ():
        _charge(1)
        yield item


def join_output(parts: Iterable[object]) -> str:
    """What every piece of output goes through, of templates, of macros and of ``~``."""
    kept: list[str] = []
    size = 0
    for part in parts:
        text = part if isinstance(part, str) else "" if part is None else str(part)
        size += len(text)
        if size > OUTPUT_LIMIT:
            raise SecurityError(f"the template renders more than {OUTPUT_LIMIT >> 20} MB")
        kept.append(text)
    _charge(size >> 12)
    return "".join(kept)


def _format(value: str, *args: object) -> str:
    if _WIDE_FORMAT.search(str(value)):
        raise SecurityError("the format pads too much")
    return str(value) % args


def _joined(items: Iterable[object] | None, d: str = "", attribute: str | None = None) -> str:
    values = _metered(items)
    if attribute is not None:
        way = attribute.split(".")
        values = (ENVIRONMENT.follow(value, way) for value in values)
    pieces: list[object] = []
    for value in values:
        pieces += (d, value) if pieces else (value,)
    return join_output(pieces)


def _replaced(text: str, old: str, new: str, count: int | None = None) -> str:
    text, old, new = str(text), str(old), str(new)
    found = text.count(old) if old else len(text) + 1
    found = found if count is None else min(found, count)
    _join_size(len(text) + found * len(new))
    return text.replace(old, new, -1 if count is None else count)


def _join_size(size: int) -> None:
    if size > OUTPUT_LIMIT:
        raise SecurityError(f"the template renders more than {OUTPUT_LIMIT >> 20} MB")
    _charge(1 + (size >> 12))


class _Metering(NodeTransformer):
    """Puts a meter into each loop and a bound on each ``~``."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filter_node(node.iter, "_metered", node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter_node(nodes.List(node.nodes, lineno=node.lineno), "_join", node.lineno)


def _filter_node(value: nodes.Node, name: str, line: int) -> nodes.Filter:
    return nodes.Filter(cast(nodes.Expr, value), name, [], [], None, None, lineno=line)


def shown(value: object) -> object:
    """What an expression prints. A method is one that a missing field let through: ``meta.items``."""
    return "" if value is None or callable(value) else value


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})
    concat = staticmethod(join_output)

    def __init__(self) -> None:
        super().__init__(undefined=_Unset, finalize=shown)
        self.filters = {name: self.filters[name] for name in _FILTERS}
        self.filters |= {"_metered": _metered, "_join": join_output}
        self.filters |= {"format": _format, "join": _joined, "replace": _replaced}
        self.tests["none"] = lambda value: value is None or isinstance(value, Undefined)
        self.globals = {name: self.globals[name] for name in GLOBALS}

    def getattr(self, obj: object, attribute: str) -> object:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def follow(self, value: object, way: Sequence[str]) -> object:
        """The value at the end of a way of attributes or items."""
        for part in way:
            value = self.getattr(value, part)
        return value

    def unsafe_undefined(self, obj: object, attribute: str) -> Undefined:  # noqa: ARG002
        raise SecurityError(f"'{attribute}' is not for templates")

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        if isinstance(obj, (str, bytes)) and attr in ("format", "format_map", "encode", "translate"):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        _bound(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: object, /, *args: object, **kwargs: object) -> object:
        _charge(10)
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, (str, bytes)):
            name = getattr(obj, "__name__", "")
            if name in _PADDING and any(isinstance(arg, int) and arg > _WIDEST for arg in args):
                raise SecurityError(f"'{name}' pads too much")
            if name == "replace":
                return _replaced(str(owner), *args)  # type: ignore[arg-type]
            if name == "join" and len(args) == 1:
                return _joined(args[0], str(owner))  # type: ignore[arg-type]
        return super().call(context, obj, *args, **kwargs)


def _bound(operator: str, left: object, right: object) -> None:
    """Refuse what would make huge texts, lists or numbers; charge for long ones."""
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        if isinstance(left, int) and isinstance(right, int) and operator in ("*", "**"):
            bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
            if bits > _LONGEST_NUMBER:
                raise SecurityError("the template calculates with numbers that are too long")
        return
    sizes = [len(side) for side in (left, right) if isinstance(side, (str, bytes, list, tuple))]
    if operator == "*":
        times = [side for side in (left, right) if isinstance(side, int)]
        _join_size(sum(sizes) * max(0, *times, 0))
    elif operator == "%" and isinstance(left, str):
        if _WIDE_FORMAT.search(left):
            raise SecurityError("the format pads too much")
    else:
        _join_size(sum(sizes))


ENVIRONMENT = _Environment()


def instrument(tree: nodes.Template) -> nodes.Template:
    """The tree with a meter in each loop and a bound on each ``~``."""
    metered = cast(nodes.Template, _Metering().visit(tree))
    metered.set_environment(ENVIRONMENT)
    return metered


def refill() -> None:
    """Give the next rendering of this thread its whole allowance of work."""
    _meter.left = WORK_LIMIT
