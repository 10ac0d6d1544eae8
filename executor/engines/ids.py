"""Whether a transform leaves source keys alone, so that no two records can get one id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compiler.model.plan import Json, JsonObject

_HARMLESS = frozenset({"filter", "require"})


def keeps_ids(transform: JsonObject | None) -> bool:
    """Whether no step can change ``_id``. A Python function could do anything.

    >>> keeps_ids({"steps": [{"drop": ["tmp"]}]}), keeps_ids({"steps": [{"rename": {"key": "_id"}}]})
    (True, False)
    """
    if transform is None:
        return True
    steps = transform.get("steps")
    return isinstance(steps, (list, tuple)) and all(map(_keeps, steps)) if steps else True


def ids_of_keys(transform: JsonObject | None) -> bool:
    """Whether the ids of unified content are made of the source's own keys, one each."""
    content = transform.get("content") if transform is not None else None
    path = content.get("id") if isinstance(content, Mapping) else None
    return path in (None, "_id") and keeps_ids(transform)


def _keeps(step: Json) -> bool:
    if not isinstance(step, Mapping):
        return False
    return all(kind in _HARMLESS or not any(map(_is_id, _paths(body))) for kind, body in step.items())


def _paths(body: Json) -> Iterable[Json]:
    """Every path that a step names; of a step that names none, a Python function, ``_id`` itself."""
    if isinstance(body, Mapping):
        return [*body.keys(), *body.values()]
    return body if isinstance(body, (list, tuple)) else ["_id"]


def _is_id(path: Json) -> bool:
    return isinstance(path, str) and (path == "_id" or path.startswith("_id."))
