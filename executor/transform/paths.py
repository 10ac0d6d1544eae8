"""Dotted paths into documents, compiled once into closures.

``a.b`` is the field ``b`` of the mapping ``a``; where a list stands, a number is the index of an element
that is there. A field whose own name has a dot in it cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Literal, TypeAlias

from executor.transform.rejection import Rejected

Document: TypeAlias = dict[str, object]


class _Absence(Enum):
    MISSING = "missing"


MISSING: Final = _Absence.MISSING
"""What a path yields that leads nowhere; ``None`` is BSON's null."""

Missing: TypeAlias = Literal[_Absence.MISSING]


def _descend(container: object, part: str) -> object:
    if isinstance(container, dict):
        return container.get(part, MISSING)
    if isinstance(container, list) and part.isdecimal() and int(part) < len(container):
        return container[int(part)]
    return MISSING


def getter(path: str) -> Callable[[Document], object]:
    """A closure that reads the value at ``path``, or MISSING."""
    parts = path.split(".")
    if len(parts) == 1:
        return lambda document: document.get(path, MISSING)

    def get(document: Document) -> object:
        value: object = document
        for part in parts:
            value = value.get(part, MISSING) if isinstance(value, dict) else _descend(value, part)
            if value is MISSING:
                return MISSING
        return value

    return get


def setter(path: str) -> Callable[[Document, object], None]:
    """A closure that writes a value at ``path``. Mappings on the way that are missing or null are made;
    anything else in the way raises Rejected."""
    *way, last = path.split(".")

    if not way:

        def set_top(document: Document, value: object) -> None:
            document[last] = value

        return set_top

    def put(document: Document, value: object) -> None:
        container: object = document
        for index, part in enumerate(way):
            inner = _descend(container, part)
            if (inner is MISSING or inner is None) and isinstance(container, dict):
                inner = container[part] = {}
            if not isinstance(inner, (dict, list)):
                where = ".".join(way[: index + 1])
                raise Rejected(f"'{path}' cannot be set: '{where}' is not a document")
            container = inner
        if isinstance(container, dict):
            container[last] = value
        elif isinstance(container, list) and last.isdecimal() and int(last) < len(container):
            container[int(last)] = value
        else:
            raise Rejected(f"'{path}' cannot be set: '{'.'.join(way)}' is a list without that element")

    return put


def changer(path: str, change: Callable[[object], object]) -> Callable[[Document], None]:
    """A closure that replaces the value at ``path`` by ``change(value)``; missing and null stay."""
    *way, last = path.split(".")
    if not way:

        def change_top(document: Document) -> None:
            value = document.get(last)
            if value is not None:
                document[last] = change(value)

        return change_top

    parent, put = getter(".".join(way)), setter(path)

    def change_nested(document: Document) -> None:
        value = _descend(parent(document), last)
        if value is not MISSING and value is not None:
            put(document, change(value))

    return change_nested


def taker(path: str) -> Callable[[Document], object]:
    """A closure that removes the field at ``path`` and yields its value, or MISSING. The mapping that
    held it stays, even if it is empty then; an element of a list cannot be removed by its index."""
    *way, last = path.split(".")
    if not way:
        return lambda document: document.pop(last, MISSING)
    parent = getter(".".join(way))

    def take(document: Document) -> object:
        container = parent(document)
        return container.pop(last, MISSING) if isinstance(container, dict) else MISSING

    return take
