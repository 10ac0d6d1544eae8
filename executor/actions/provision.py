"""The ``provision`` action: collections and indexes that must be there before data comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from compiler.model.plan import Json, JsonObject, Step, Verdict
from executor.actions import params
from executor.contract import Context, Outcome, StepFailed
from executor.stores.port import CollectionFacts, RecordStore, VectorStore

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


class Look(StrEnum):
    """How something that is wanted stands."""

    FITS = "fits"
    MISSING = "missing"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index as it is wanted. ``options`` are all but its keys and its name."""

    name: str
    named: bool
    keys: tuple[tuple[str, str | int], ...]
    options: JsonObject

    @classmethod
    def of(cls, value: JsonObject) -> Index:
        keys = _keys(value)
        given = value.get("name")
        name = given if isinstance(given, str) else "_".join(f"{field}_{way}" for field, way in keys)
        options = {key: item for key, item in value.items() if key not in ("keys", "name", "background")}
        return cls(name=name, named=given is not None, keys=keys, options=options)

    @property
    def kept(self) -> tuple[tuple[str, str | int], ...]:
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
        return {**_INDEX_DEFAULTS, **implied, **{k: v for k, v in self.options.items() if k != "weights"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A collection as it is wanted."""

    place: params.Place
    options: JsonObject
    indexes: tuple[Index, ...]
    metric: str | None
    dimension: int | None
    embedding: JsonObject

    @classmethod
    def of(cls, value: JsonObject) -> Wanted:
        metric, dimension = value.get("metric"), value.get("dimension")
        return cls(
            place=params.place(value, "target"),
            options=params.mapping(value, "options"),
            indexes=tuple(Index.of(item) for item in params.mappings(value, "indexes")),
            metric=metric if isinstance(metric, str) else None,
            dimension=dimension if isinstance(dimension, int) else None,
            embedding=params.mapping(value, "embedding"),
        )


class ProvisionRunner:
    """Creates what is missing, and refuses what is there but is not what the plan asks for."""

    def prepare(self, step: Step, context: Context) -> JsonObject:
        """What is there of each collection: whether it exists, and its indexes' names."""
        found: list[Json] = []
        for wanted in _wanted(step):
            facts = _store(context, wanted.place).facts(wanted.place.collection)
            names: list[Json] = [_name(index) for index in facts.indexes]
            found.append(
                {
                    "store": wanted.place.store,
                    "collection": wanted.place.collection,
                    "exists": facts.exists,
                    "indexes": names,
                }
            )
        return {"collections": found}

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        wanted = _wanted(step)
        for item in wanted:  # all differences before the first effect
            _check(item, context)
        created = [name for item in wanted for name in _create(item, context)]
        return Outcome(result={"created": created})

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:
        looks = [look for item in _wanted(step) for look in _looks(item, context)]
        if Look.DIFFERS in looks:
            return Verdict.UNKNOWN
        if Look.MISSING not in looks:
            return Verdict.APPLIED
        return Verdict.ABSENT if self.prepare(step, context) == prepared else Verdict.RESUMABLE

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:
        """Drop what was not there before: indexes, and collections that are empty again."""
        before = {params.place_of(item): item for item in params.mappings(prepared, "collections")}
        dropped: list[Json] = []
        kept: list[Json] = []
        for wanted in reversed(_wanted(step)):
            place = wanted.place
            if place not in before:
                continue
            context.proceed()
            store = _store(context, place)
            if not before[place].get("exists"):
                count = store.count(place.collection)
                if count:
                    kept.append(f"{place} holds {count} records")
                elif store.exists(place.collection):
                    store.drop(place.collection)
                    dropped.append(str(place))
            elif isinstance(store, RecordStore):
                dropped.extend(_drop_indexes(store, wanted, params.words(before[place], "indexes")))
        result: dict[str, Json] = {"dropped": dropped}
        if kept:
            result.update(changedSince=kept, changedCount=len(kept))
        return Outcome(result=result)


def _wanted(step: Step) -> tuple[Wanted, ...]:
    return tuple(Wanted.of(item) for item in params.mappings(step.params, "collections"))


def _keys(value: JsonObject) -> tuple[tuple[str, str | int], ...]:
    """An index's keys: pairs, since a mapping loses its order in canonical JSON."""
    keys = value.get("keys")
    pairs = list(keys.items()) if isinstance(keys, Mapping) and len(keys) == 1 else keys
    found: list[tuple[str, str | int]] = []
    for pair in pairs if isinstance(pairs, (list, tuple)) else [None]:
        match pair:
            case [str(field), (str() | int() | float()) as way] if not isinstance(way, bool):
                found.append((field, int(way) if isinstance(way, float) else way))
            case _:
                raise StepFailed(
                    "the keys of an index must be pairs of field and direction", verdict=Verdict.ABSENT
                )
    return tuple(found)


def _store(context: Context, place: params.Place) -> RecordStore | VectorStore:
    store = context.stores.open(place.store)
    if not isinstance(store, (RecordStore, VectorStore)):
        raise StepFailed(f"store '{place.store}' has no collections", verdict=Verdict.ABSENT)
    return store


def _name(index: JsonObject) -> str:
    return str(index.get("name"))


def _refused(place: params.Place, what: str, hint: str = "") -> StepFailed:
    return StepFailed(
        f"{place} exists, and {what}",
        hint=hint or "change the plan, or the collection, so that both say the same",
        verdict=Verdict.ABSENT,
    )


def _check(wanted: Wanted, context: Context) -> None:
    """Raises StepFailed or StoreRefused, with both sides, if what exists is not what is wanted."""
    store = _store(context, wanted.place)
    facts = store.facts(wanted.place.collection)
    if not facts.exists:
        return
    if isinstance(store, VectorStore):
        store.check(
            wanted.place.collection,
            metric=wanted.metric or "cosine",
            dimension=wanted.dimension,
            embedding=_fingerprint(wanted, context),
        )
        return
    for difference in option_differences(wanted.options, facts.options):
        raise _refused(wanted.place, difference)
    for index in wanted.indexes:
        if (found := index_difference(index, facts)) is not None:
            raise _refused(
                wanted.place, found, "drop that index, or give the plan's another name or other keys"
            )


def _looks(wanted: Wanted, context: Context) -> list[Look]:
    """How the collection and each of its indexes stand."""
    facts = _store(context, wanted.place).facts(wanted.place.collection)
    if not facts.exists:
        return [Look.MISSING]
    if option_differences(wanted.options, facts.options):
        return [Look.DIFFERS]
    return [Look.FITS, *(_index_look(index, facts) for index in wanted.indexes)]


def _index_look(index: Index, facts: CollectionFacts) -> Look:
    if index_difference(index, facts) is not None:
        return Look.DIFFERS
    return Look.FITS if _existing(index, facts) is not None else Look.MISSING


def _create(wanted: Wanted, context: Context) -> list[Json]:
    """Create what is missing; its names."""
    store = _store(context, wanted.place)
    collection = wanted.place.collection
    facts = store.facts(collection)
    created: list[Json] = []
    if not facts.exists:
        context.proceed()
        if isinstance(store, VectorStore):
            store.create(
                collection,
                metric=wanted.metric or "cosine",
                dimension=wanted.dimension,
                embedding=_fingerprint(wanted, context),
            )
        else:
            store.create(collection, wanted.options)
        created.append(str(wanted.place))
    if isinstance(store, RecordStore):
        for index in wanted.indexes:
            if _existing(index, facts) is None:
                context.proceed()
                store.create_index(collection, index.keys, {"name": index.name, **index.options})
                created.append(f"{wanted.place}/{index.name}")
    return created


def _drop_indexes(store: RecordStore, wanted: Wanted, before: Sequence[str]) -> list[Json]:
    present = {_name(index) for index in store.facts(wanted.place.collection).indexes}
    dropped: list[Json] = []
    for index in reversed(wanted.indexes):
        if index.name in present and index.name not in before:
            store.drop_index(wanted.place.collection, index.name)
            dropped.append(f"{wanted.place}/{index.name}")
    return dropped


def _fingerprint(wanted: Wanted, context: Context) -> str | None:
    if not wanted.embedding:
        return None
    from executor.embedding.port import open_embedder

    embedder = open_embedder(wanted.embedding, base=context.base, dimension=wanted.dimension)
    try:
        return embedder.fingerprint
    finally:
        embedder.close()


def _existing(index: Index, facts: CollectionFacts) -> JsonObject | None:
    """The index that serves for a wanted one: of its name, or, if it was given none, equal to it."""
    for item in facts.indexes:
        if _name(item) == index.name:
            return item
    if not index.named:
        for item in facts.indexes:
            if _equal(index, item, facts):
                return item
    return None


def _equal(index: Index, existing: JsonObject, facts: CollectionFacts) -> bool:
    return _keys(existing) in (index.keys, index.kept) and not _different_options(index, existing, facts)


def index_difference(index: Index, facts: CollectionFacts) -> str | None:
    """How an existing index of the same name, or an equal one of another name, is not the wanted one."""
    for item in facts.indexes:
        if _name(item) == index.name:
            if (keys := _keys(item)) not in (index.keys, index.kept):
                return f"its index '{index.name}' has the keys {_shown(keys)}, not {_shown(index.keys)}"
            for option, wanted in _different_options(index, item, facts):
                return (
                    f"its index '{index.name}' has {option}: {_plain(item.get(option))}, not {_plain(wanted)}"
                )
        elif index.named and _equal(index, item, facts):
            return f"its index '{_name(item)}' is the plan's '{index.name}' under another name"
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
    import json

    from bson import json_util
    from bson.errors import BSONError

    try:
        return json_util.loads(json.dumps(value))
    except (BSONError, ValueError, TypeError):  # what only looks like extended JSON
        return value
