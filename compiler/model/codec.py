"""Canonical JSON of the model's types, and their digests.

The canonical form is UTF-8, keys sorted, no white space, no NaN, as RFC 8785 has it but for the
spelling of floats, which is Python's shortest one that reads back as the same number. Field names are
camelCase; a field that holds its default is left out, so that a format may grow a field without
changing the bytes of plans that do not use it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union

from compiler.model.plan import FORMAT, CompiledPlan, Json, RollbackPlan, Step

T = TypeVar("T")

_UNSEALED = frozenset({"digest", "location", "sources"})


class CodecError(ValueError):
    """A compiled file that is not one: its shape, its version or its digest is wrong."""


def canonical(value: Json) -> bytes:
    """The one spelling of a JSON value.

    >>> canonical({"b": 1, "a": [True, None]})
    b'{"a":[true,null],"b":1}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def digest_of(value: Json) -> str:
    """SHA-256 of the canonical form, as ``sha256:<hex>``."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()


@cache
def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


@cache
def _fields(cls: type) -> tuple[tuple[str, str, Any, object, bool], ...]:
    """(attribute, key, type, default, required) of every field of a dataclass."""
    hints = typing.get_type_hints(cls)
    rows = []
    for item in dataclasses.fields(cls):
        default: object = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        required = default is dataclasses.MISSING
        rows.append((item.name, _camel(item.name), hints[item.name], default, required))
    return tuple(rows)


def to_json(value: object) -> Json:
    """A model value as plain JSON values. Tuples become lists, enums their values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        encoded: dict[str, Json] = {}
        for name, key, kind, default, required in _fields(type(value)):
            item = getattr(value, name)
            # 3 and 3.0 are equal in Python and must be equal in the digest.
            if kind is float or (kind == float | None and item is not None):
                item = float(item)
            if required or item != default:
                encoded[key] = to_json(item)
        return encoded
    if isinstance(value, Enum):
        return to_json(value.value)
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} has no place in the model")


def from_json(cls: type[T], value: Json, where: str = "$") -> T:
    """The model value of type ``cls`` that ``value`` encodes. Raises CodecError with the path."""
    return typing.cast(T, _decode(cls, value, where))


def _decode(kind: Any, value: Json, where: str) -> object:
    origin = typing.get_origin(kind)
    if isinstance(kind, typing.ForwardRef):
        return value
    if origin in (Union, types.UnionType):
        if len(typing.get_args(kind)) > 2:  # of all our unions only Json has more than "or None"
            return value
        if value is None:
            return None
        [inner] = [item for item in typing.get_args(kind) if item is not type(None)]
        return _decode(inner, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise CodecError(f"{where}: a list was expected")
        inner = typing.get_args(kind)[0]
        return tuple(_decode(inner, item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise CodecError(f"{where}: an object was expected")
        inner = typing.get_args(kind)[1]
        return {key: _decode(inner, item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(typing.cast(type, kind), value, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            raise CodecError(f"{where}: {value!r} is not one of {[m.value for m in kind]}") from None
    return _decode_scalar(kind, value, where)


def _decode_scalar(kind: type, value: Json, where: str) -> object:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CodecError(f"{where}: {kind.__name__} was expected, not {type(value).__name__}")
    return value


def _decode_dataclass(cls: type, value: Json, where: str) -> object:
    if not isinstance(value, dict):
        raise CodecError(f"{where}: an object was expected")
    known: dict[str, object] = {}
    left = dict(value)
    for name, key, kind, _, required in _fields(cls):
        if key in left:
            known[name] = _decode(kind, left.pop(key), f"{where}.{key}")
        elif required:
            raise CodecError(f"{where}: '{key}' is missing")
    if left:
        raise CodecError(f"{where}: unknown field '{sorted(left)[0]}'")
    return cls(**known)


def digest_of_plan(plan: CompiledPlan) -> str:
    """The digest over everything in the plan that matters (see CompiledPlan)."""
    rollback = plan.rollback
    bare = dataclasses.replace(
        plan,
        steps=tuple(_placeless(step) for step in plan.steps),
        triggers=tuple(dataclasses.replace(item, origin=None) for item in plan.triggers),
        rollback=RollbackPlan(
            procedures=tuple(
                dataclasses.replace(item, step=_placeless(item.step)) for item in rollback.procedures
            ),
            checks=tuple(_placeless(step) for step in rollback.checks),
        ),
    )
    body = typing.cast(dict[str, Json], to_json(bare))
    return digest_of({key: item for key, item in body.items() if key not in _UNSEALED})


def _placeless(step: Step) -> Step:
    return dataclasses.replace(step, origin=None)


def seal(plan: CompiledPlan) -> CompiledPlan:
    """The plan with its digest."""
    return dataclasses.replace(plan, digest=digest_of_plan(plan))


def dump_plan(plan: CompiledPlan) -> bytes:
    """The compiled file: the sealed plan, indented for review, keys sorted, one final newline."""
    text = json.dumps(to_json(plan), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def load_plan(data: bytes) -> CompiledPlan:
    """Read a compiled file and check its seal. Raises CodecError, which says what is wrong with it."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not JSON: {error}") from None
    if not isinstance(value, dict) or "digest" not in value:
        raise CodecError("not a compiled plan: it has no digest")
    if value.get("format", FORMAT) != FORMAT:
        raise CodecError(f"format {value['format']!r} is not known here; this is format {FORMAT}")
    plan = from_json(CompiledPlan, value)
    if digest_of_plan(plan) != plan.digest:
        raise CodecError("the digest does not match: the file was edited after it was compiled")
    return plan
