"""The ``provision`` action: collections and indexes that must be there before data comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from compiler.model.plan import Json, JsonObject, Step, Verdict
from executor.actions import params
from executor.actions.indexes import Index, existing_index, index_difference, name_of, option_differences
from executor.contract import Context, Outcome, StepFailed, StoreRefused
from executor.stores.port import CollectionFacts, RecordStore, VectorStore


class Look(StrEnum):
    """How something that is wanted stands."""

    FITS = "fits"
    MISSING = "missing"
    DIFFERS = "differs"


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
            names: list[Json] = [name_of(index) for index in facts.indexes]
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


def _store(context: Context, place: params.Place) -> RecordStore | VectorStore:
    store = context.stores.open(place.store)
    if not isinstance(store, (RecordStore, VectorStore)):
        raise StepFailed(f"store '{place.store}' has no collections", verdict=Verdict.ABSENT)
    return store


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
        try:
            store.check(
                wanted.place.collection,
                metric=wanted.metric or "cosine",
                dimension=wanted.dimension,
                embedding=_fingerprint(wanted, context),
            )
        except StoreRefused as error:
            raise StepFailed(error.message, hint=error.hint, verdict=Verdict.ABSENT) from error
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
    store = _store(context, wanted.place)
    facts = store.facts(wanted.place.collection)
    if not facts.exists:
        return [Look.MISSING]
    if isinstance(store, VectorStore):
        return [Look.FITS if _fits(wanted, context) else Look.DIFFERS]
    if option_differences(wanted.options, facts.options):
        return [Look.DIFFERS]
    return [Look.FITS, *(_index_look(index, facts) for index in wanted.indexes)]


def _fits(wanted: Wanted, context: Context) -> bool:
    try:
        _check(wanted, context)
    except StepFailed:
        return False
    return True


def _index_look(index: Index, facts: CollectionFacts) -> Look:
    if index_difference(index, facts) is not None:
        return Look.DIFFERS
    return Look.FITS if existing_index(index, facts) is not None else Look.MISSING


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
            if existing_index(index, facts) is None:
                context.proceed()
                store.create_index(collection, index.keys, {"name": index.name, **index.options})
                created.append(f"{wanted.place}/{index.name}")
    return created


def _drop_indexes(store: RecordStore, wanted: Wanted, before: Sequence[str]) -> list[Json]:
    present = {name_of(index) for index in store.facts(wanted.place.collection).indexes}
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
