"""The templates and conditions that most plans have, as closures without Jinja's run time.

Text with fields in it, and comparisons of fields with constants: the same results as Jinja's own, many
times faster. Whatever has more in it is left to Jinja.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from jinja2 import nodes

from executor.transform.paths import MISSING, Document
from executor.transform.sandbox import ENVIRONMENT, GLOBALS, shown

Reader = Callable[[Document], object]

_COMPARISONS: Mapping[str, Callable[[object, object], object]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": lambda left, right: left < right,  # type: ignore[operator]
    "lteq": lambda left, right: left <= right,  # type: ignore[operator]
    "gt": lambda left, right: left > right,  # type: ignore[operator]
    "gteq": lambda left, right: left >= right,  # type: ignore[operator]
    "in": lambda item, items: item in items,  # type: ignore[operator]
    "notin": lambda item, items: item not in items,  # type: ignore[operator]
}


def plain_template(tree: nodes.Template) -> Callable[[Document], str] | None:
    """A closure for a template of text and fields, None for any other."""
    pieces: list[str | Reader] = []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            piece = node.data if isinstance(node, nodes.TemplateData) else _field(node)
            if piece is None:
                return None
            pieces.append(piece)

    def render(document: Document) -> str:
        return "".join([piece if isinstance(piece, str) else _text(piece(document)) for piece in pieces])

    return render


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    value = shown(value)
    return value if isinstance(value, str) else str(value)


def plain_condition(expression: nodes.Node) -> Reader | None:
    """A closure for comparisons of fields and constants, and and, or, not of them; None for any other."""
    if isinstance(expression, (nodes.And, nodes.Or)):
        left, right = plain_condition(expression.left), plain_condition(expression.right)
        if left is None or right is None:
            return None
        return _both(left, right) if isinstance(expression, nodes.And) else _either(left, right)
    if isinstance(expression, nodes.Not):
        inner = plain_condition(expression.node)
        return None if inner is None else _negated(inner)
    if isinstance(expression, nodes.Compare) and len(expression.ops) == 1:
        [operand] = expression.ops
        left, right = _operand(expression.expr), _operand(operand.expr)
        compare = _COMPARISONS.get(operand.op)
        if left is None or right is None or compare is None:
            return None
        return _compared(left, compare, right)
    return _operand(expression)


def _both(left: Reader, right: Reader) -> Reader:
    return lambda document: left(document) and right(document)


def _either(left: Reader, right: Reader) -> Reader:
    return lambda document: left(document) or right(document)


def _negated(inner: Reader) -> Reader:
    return lambda document: not inner(document)


def _compared(left: Reader, compare: Callable[[object, object], object], right: Reader) -> Reader:
    return lambda document: compare(left(document), right(document))


def _operand(node: nodes.Node) -> Reader | None:
    if isinstance(node, nodes.Const):
        return _constant(node.value)
    if isinstance(node, (nodes.List, nodes.Tuple)):
        values = [item.value for item in node.items if isinstance(item, nodes.Const)]
        if len(values) < len(node.items):
            return None
        return _constant(values if isinstance(node, nodes.List) else tuple(values))
    return _field(node)


def _constant(value: object) -> Reader:
    return lambda document: value  # noqa: ARG005


def _field(node: nodes.Node) -> Reader | None:
    """A closure that reads a field as Jinja does, down to what a missing one is."""
    way: list[str] = []
    while isinstance(node, nodes.Getattr):
        way.insert(0, node.attr)
        node = node.node
    if not isinstance(node, nodes.Name) or node.name in (*GLOBALS, "document", "self"):
        return None
    first = node.name

    def top(document: Document) -> object:
        value = document.get(first, MISSING)
        return ENVIRONMENT.undefined(name=first) if value is MISSING else value

    if not way:
        return top
    return lambda document: ENVIRONMENT.follow(top(document), way)
