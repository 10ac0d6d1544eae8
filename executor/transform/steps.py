"""The kinds of a transform's steps. Each is compiled into a closure ``document → document or None``.

All paths of one step see the document as the step found it: the order of keys within a step has no
meaning (the compiled plan does not keep it).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import bson
from bson import Decimal128, ObjectId, json_util
from bson.codec_options import DatetimeConversion

from executor.contract import FordwayError
from executor.transform.casts import CASTS, Unfit
from executor.transform.functions import load_function
from executor.transform.paths import MISSING, Document, changer, getter, setter, taker
from executor.transform.rejection import Rejected, one_line, shorten

Stage = Callable[[Document], Document | None]
"""One step, compiled. None: the document was filtered out. Raises Rejected."""

_LITERALS = json_util.JSONOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)


def rename(body: object, base: Path) -> Stage:  # noqa: ARG001
    """``{from: to}``. A path that is missing is passed over; one that would overwrite another field
    is Rejected (drop that field first). All are taken before any is put, so that two can be swapped."""
    names = {old: str(new) for old, new in _mapping(body).items()}
    takes = [taker(old) for old in names]
    moves = [_mover(old, new) for old, new in names.items()]

    def stage(document: Document) -> Document:
        values = [take(document) for take in takes]
        for value, move in zip(values, moves, strict=True):
            if value is not MISSING:
                move(document, value)
        return document

    return stage


def _mover(old: str, new: str) -> Callable[[Document, object], None]:
    look, put = getter(new), setter(new)

    def move(document: Document, value: object) -> None:
        there = look(document)
        if there is not MISSING and there is not None:
            raise Rejected(f"rename: '{old}' cannot become '{new}', which is there already")
        put(document, value)

    return move


def cast(body: object, base: Path) -> Stage:  # noqa: ARG001
    """``{path: type}``; missing and null stay as they are. See :mod:`executor.transform.casts`."""
    changes = [changer(path, _cast(path, str(kind))) for path, kind in _mapping(body).items()]

    def stage(document: Document) -> Document:
        for change in changes:
            change(document)
        return document

    return stage


def _cast(path: str, kind: str) -> Callable[[object], object]:
    convert = CASTS.get(kind)
    if convert is None:
        raise FordwayError(f"'{path}': unknown type '{kind}'", hint="known are " + ", ".join(sorted(CASTS)))

    def change(value: object) -> object:
        try:
            return convert(value)
        except Unfit:
            raise Rejected(f"cast: '{path}' cannot become {kind}: {shorten(value)}") from None

    return change


def default(body: object, base: Path) -> Stage:  # noqa: ARG001
    """``{path: value}`` where the path is missing or null."""
    fills = [(getter(path), setter(path), _fresh(value)) for path, value in _mapping(body).items()]

    def stage(document: Document) -> Document:
        for get, put, fresh in fills:
            value = get(document)
            if value is None or value is MISSING:
                put(document, fresh())
        return document

    return stage


def drop(body: object, base: Path) -> Stage:  # noqa: ARG001
    """``[path, …]``; a path that is missing is passed over."""
    takes = [taker(path) for path in _paths(body)]

    def stage(document: Document) -> Document:
        for take in takes:
            take(document)
        return document

    return stage


def map_values(body: object, base: Path) -> Stage:  # noqa: ARG001
    """``{path: {values: {from: to}, otherwise: value}}``; missing and null stay as they are.

    Keys are text: the number 1, the double 1.0 and the text "1" are all "1", booleans are "true" and
    "false", ObjectIds their 24 digits. Without ``otherwise`` a value that is not listed is Rejected.
    """
    changes = [changer(path, _lookup(path, _mapping(table))) for path, table in _mapping(body).items()]

    def stage(document: Document) -> Document:
        for change in changes:
            change(document)
        return document

    return stage


def _lookup(path: str, table: Mapping[str, object]) -> Callable[[object], object]:
    values = {str(key): _fresh(value) for key, value in _mapping(table.get("values", {})).items()}
    otherwise = _fresh(table["otherwise"]) if "otherwise" in table else None

    def change(value: object) -> object:
        key = _key_text(value)
        found = values.get(key, otherwise) if key is not None else otherwise
        if found is None:
            raise Rejected(f"map: '{path}' has a value that is not listed: {shorten(value)}")
        return found()

    return change


def _key_text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return format(int(value), "d")
    if isinstance(value, float):
        return format(int(value), "d") if value.is_integer() else repr(value)
    return str(value) if isinstance(value, (ObjectId, Decimal128)) else None


def require(body: object, base: Path) -> Stage:  # noqa: ARG001
    """``[path, …]``: missing, null, an empty list or document, and blank text are Rejected."""
    checks = [(path, getter(path)) for path in _paths(body)]

    def stage(document: Document) -> Document:
        for path, get in checks:
            value = get(document)
            if value is MISSING or value is None:
                raise Rejected(f"require: '{path}' is {'null' if value is None else 'missing'}")
            if isinstance(value, str):
                # isspace stops at the first visible character; strip would copy the text.
                if not value or value.isspace():
                    raise Rejected(f"require: '{path}' is empty")
            elif isinstance(value, (list, dict)) and not value:
                raise Rejected(f"require: '{path}' is empty")
        return document

    return stage


def filter_by(body: object, base: Path) -> Stage:  # noqa: ARG001
    """A Jinja expression over the document's fields; false filters the document out."""
    from executor.transform.templates import compile_condition

    condition = compile_condition(str(body))

    def stage(document: Document) -> Document | None:
        return document if condition(document) else None

    return stage


def template(body: object, base: Path) -> Stage:  # noqa: ARG001
    """``{path: Jinja template}``; the text it renders is put there."""
    from executor.transform.templates import compile_template

    renders = [(compile_template(path, str(text)), setter(path)) for path, text in _mapping(body).items()]

    def stage(document: Document) -> Document:
        rendered = [(put, render(document)) for render, put in renders]
        for put, text in rendered:
            put(document, text)
        return document

    return stage


def python(body: object, base: Path) -> Stage:
    """``./file.py:name``, called with the document: a dict is the new document, None filters it out,
    an exception rejects it."""
    reference = str(body)
    function = load_function(reference, base)
    name = reference.rpartition(":")[2]

    def stage(document: Document) -> Document | None:
        try:
            result = function(document)
        except MemoryError:  # this process's fault and not the document's
            raise
        except Exception as error:
            raise Rejected(f"python: {name}: {one_line(error)}") from error
        if result is not None and not isinstance(result, dict):
            raise Rejected(f"python: {name} returned a {type(result).__name__}, not a document")
        return result

    return stage


def _mapping(body: object) -> dict[str, object]:
    if not isinstance(body, dict):
        raise FordwayError("a mapping was expected")
    return {str(key): value for key, value in body.items()}


def _paths(body: object) -> list[str]:
    if not isinstance(body, (list, tuple)):
        raise FordwayError("a list of paths was expected")
    return [str(path) for path in body]


def _fresh(value: object) -> Callable[[], object]:
    """Gives a plan's value, which may be extended JSON (``{"$date": …}``); lists and documents anew each
    time, since the documents own what they hold."""
    try:
        literal = json_util.loads(json.dumps(value), json_options=_LITERALS)
        bson.encode({"": literal})
    except Exception as error:  # whatever a malformed extended JSON value makes of itself
        raise FordwayError(f"{shorten(value)} cannot be stored: {one_line(error)}") from error
    return (lambda: copy.deepcopy(literal)) if isinstance(literal, (list, dict)) else (lambda: literal)


STEPS: Mapping[str, Callable[[object, Path], Stage]] = {
    "cast": cast,
    "default": default,
    "drop": drop,
    "filter": filter_by,
    "map": map_values,
    "python": python,
    "rename": rename,
    "require": require,
    "template": template,
}
"""Step kind → what compiles it."""
