"""Whether a collection and its indexes are what a plan asks for, and how they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.model.plan import Json, JsonObject, Verdict
from executor.actions import params
from executor.contract import StepFailed
from executor.stores.port import CollectionFacts

Keys = tuple[tuple[str, str | int], ...]
"""Fields of an index in their order, each with its direction (1, -1) or type (``text``, ``2dsphere``)."""

_BY_NATURE = ("capped", "timeseries", "viewOn", "clusteredIndex")
"""Options that make a collection another thing, so that having one unasked matters."""

_OPTION_DEFAULTS: Mapping[str, Json] = {
    "capped": False,
    "validationLevel": "strict",
    "validationAction": "error",
}
_INDEX_DEFAULTS: Mapping[str, Json] = {"unique": False, "sparse": False, "hidden": False}
_INDEX_NATURE = (
    "unique",
    "sparse",
    "hidden",
    "collation",
    "expireAfterSeconds",
    "partialFilterExpression",
    "wildcardProjection",
)
"""Options that make an index another one, so that having one unasked matters. All else that the server
tells of an index (versions, defaults of its type) does not."""

_CAPPED_STEP = 256  # bytes; the server rounds a capped collection's size up to a multiple


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index as it is wanted. ``options`` are all but its keys and its name."""

    name: str
    named: bool
    keys: Keys
    options: JsonObject

    @classmethod
    def of(cls, value: JsonObject) -> Index:
        keys = keys_of(value)
        given = value.get("name")
        name = given if isinstance(given, str) else "_".join(f"{field}_{way}" for field, way in keys)
        options = {key: item for key, item in value.items() if key not in ("keys", "name", "background")}
        return cls(name=name, named=given is not None, keys=keys, options=options)

    @property
    def kept(self) -> Keys:
        """The keys as the server keeps them: the fields of a text index become its weights."""
        texts = [place for place, (_, way) in enumerate(self.keys) if way == "text"]
        if not texts:
            return self.keys
        rest = [key for key in self.keys[texts[0] :] if key[1] != "text"]
        return (*self.keys[: texts[0]], ("_fts", "text"), ("_ftsx", 1), *rest)

    def wants(self, collation: Json) -> JsonObject:
        """Its options, with those that follow from its keys and from its collection's collation."""
        weights: JsonObject = {field: 1 for field, way in self.keys if way == "text"}
        given = params.mapping(self.options, "weights")
        implied: dict[str, Json] = {"weights": {**weights, **given}} if weights else {}
        if collation is not None:
            implied["collation"] = collation
        wanted = {**_INDEX_DEFAULTS, **implied, **{k: v for k, v in self.options.items() if k != "weights"}}
        chosen = wanted.get("collation")
        if isinstance(chosen, Mapping) and chosen.get("locale") == "simple":
            wanted["collation"] = None  # how the server tells of it: not at all
        return wanted


def existing_index(index: Index, facts: CollectionFacts) -> JsonObject | None:
    """The index that serves for a wanted one: of its name, or, if it was given none, equal to it."""
    for item in facts.indexes:
        if name_of(item) == index.name:
            return item
    if not index.named:
        for item in facts.indexes:
            if _equal(index, item, facts):
                return item
    return None


def _equal(index: Index, existing: JsonObject, facts: CollectionFacts) -> bool:
    return keys_of(existing) in (index.keys, index.kept) and not _different_options(index, existing, facts)


def index_difference(index: Index, facts: CollectionFacts) -> str | None:
    """How an existing index of the same name, or an equal one of another name, is not the wanted one."""
    for item in facts.indexes:
        if name_of(item) == index.name:
            if (keys := keys_of(item)) not in (index.keys, index.kept):
                return f"its index '{index.name}' has the keys {_shown(keys)}, not {_shown(index.keys)}"
            for option, wanted in _different_options(index, item, facts):
                return (
                    f"its index '{index.name}' has {option}: {_plain(item.get(option))}, not {_plain(wanted)}"
                )
        elif index.named and _equal(index, item, facts):
            return f"its index '{name_of(item)}' is the plan's '{index.name}' under another name"
    return None


def _shown(keys: Sequence[tuple[str, str | int]]) -> str:
    return "{" + ", ".join(f"{field}: {way}" for field, way in keys) + "}"


def _different_options(index: Index, existing: JsonObject, facts: CollectionFacts) -> list[tuple[str, Json]]:
    """The options that matter and are not the wanted ones, each with what is wanted."""
    wants = index.wants(facts.options.get("collation"))
    names = set(wants) | set(existing).intersection(_INDEX_NATURE)
    return [
        (name, wants.get(name))
        for name in sorted(names)
        if not _covers(existing.get(name, _INDEX_DEFAULTS.get(name)), wants.get(name))
    ]


def option_differences(wanted: JsonObject, existing: JsonObject) -> list[str]:
    """How a collection's options are not the wanted ones, in words. Options that it has beyond these do
    not matter, but for those that make it a thing of another nature."""
    found: list[str] = []
    for name, value in sorted(wanted.items()):
        have = existing.get(name, _OPTION_DEFAULTS.get(name))
        if not (_covers(have, value) or (name == "size" and _rounded_up(have, value))):
            found.append(f"its option {name} is {_plain(have)}, not {_plain(value)}")
    for name in _BY_NATURE:
        if name not in wanted and _plain(existing.get(name)):
            found.append(f"it has the option {name}, which the plan does not ask for")
    return found


def _covers(existing: Json, wanted: Json) -> bool:
    """Whether what exists says everything that is wanted; the server adds defaults of its own."""
    return _within(_plain(existing), _plain(wanted))


def _within(existing: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping) and isinstance(existing, Mapping):
        return all(key in existing and _within(existing[key], value) for key, value in wanted.items())
    return bool(existing == wanted)


def _rounded_up(existing: Json, wanted: Json) -> bool:
    have, size = _plain(existing), _plain(wanted)
    return isinstance(have, int) and isinstance(size, int) and 0 <= have - size < _CAPPED_STEP


def _plain(value: Json) -> object:
    """Extended JSON as values: 1 and {"$numberInt": "1"} are the same wish."""
    from bson import json_util
    from bson.errors import BSONError

    try:
        return json_util.loads(json.dumps(value))
    except (BSONError, ValueError, TypeError):  # what only looks like extended JSON
        return value


def keys_of(value: JsonObject) -> Keys:
    """An index's keys: pairs, since a mapping loses its order in canonical JSON."""
    keys = value.get("keys")
    pairs = list(keys.items()) if isinstance(keys, Mapping) and len(keys) == 1 else keys
    found: list[tuple[str, str | int]] = []
    for pair in pairs if isinstance(pairs, (list, tuple)) else [None]:
        match pair:
            case [str(field), way]:
                found.append((field, _way(way)))
            case _:
                raise StepFailed(
                    "the keys of an index must be pairs of field and direction", verdict=Verdict.ABSENT
                )
    return tuple(found)


def _way(value: Json) -> str | int:
    way = _plain(value)
    return int(way) if isinstance(way, (int, float)) and not isinstance(way, bool) else str(way)


def name_of(index: JsonObject) -> str:
    """The name of an existing index."""
    return str(index.get("name"))
