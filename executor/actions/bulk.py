"""The ``bulk`` action: a collection, as it is or transformed, into MongoDB, ChromaDB or both as one unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from compiler.model.plan import Json, JsonObject, Step, Verdict
from executor.actions.params import Place, place
from executor.contract import Context, Outcome, StepFailed
from executor.embedding.port import Embedder, open_embedder
from executor.engines import bulk, undo
from executor.engines.ids import ids_of_keys, keeps_ids
from executor.engines.job import Job, RecordTarget, VectorTarget
from executor.engines.settings import Settings
from executor.stores.port import RecordStore, Source, VectorStore
from executor.transform.batch import Mode, Recipe
from executor.transform.content import Provenance
from executor.transform.pool import TransformPool


class BulkRunner:
    """Moves records from one collection to others. What it announces before it writes is what takes it
    back."""

    def prepare(self, step: Step, context: Context) -> JsonObject:
        """What the targets were. Raises StepFailed if there is nothing to read from, StoreRefused if a
        target is not what the plan needs."""
        source = place(step.params, "source")
        if not record_store(context, source).exists(source.collection):
            raise StepFailed(
                f"there is no collection '{source}' to read from",
                hint="create it, even empty, if it is meant to hold nothing",
                verdict=Verdict.ABSENT,
            )
        with opened_job(step.id, step.params, context) as job:
            return bulk.prepare(job)

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:
        with opened_job(step.id, step.params, context) as job:
            return bulk.run(job, context, prepared)

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:
        """Going on from the checkpoint is always safe: what is there is compared before it is written."""
        for target in targets_of(step.params):
            store = context.stores.open(target.store)
            if not isinstance(store, (RecordStore, VectorStore)):
                return Verdict.UNKNOWN
            store.ping()
        del prepared
        return Verdict.RESUMABLE

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:
        records, vectors = (_place(step.params, side) for side in ("records", "vectors"))
        return undo.undo_step(
            context,
            step.undoes or step.id,
            prepared,
            records=(str(records), record_store(context, records), records.collection) if records else None,
            vectors=(str(vectors), vector_store(context, vectors), vectors.collection) if vectors else None,
        )


def record_store(context: Context, where: Place) -> RecordStore:
    """The store of records that holds a place. Raises StepFailed."""
    store = context.stores.open(where.store)
    if not isinstance(store, RecordStore):
        raise StepFailed(f"store '{where.store}' holds no records", verdict=Verdict.ABSENT)
    return store


def vector_store(context: Context, where: Place) -> VectorStore:
    """The store of vectors that holds a place. Raises StepFailed."""
    store = context.stores.open(where.store)
    if not isinstance(store, VectorStore):
        raise StepFailed(f"store '{where.store}' holds no vectors", verdict=Verdict.ABSENT)
    return store


def targets_of(params: JsonObject) -> list[Place]:
    """The places that a bulk step writes."""
    places = (_place(params, side) for side in ("records", "vectors"))
    return [found for found in places if found is not None]


def _place(params: JsonObject, side: str) -> Place | None:
    return place(params, side) if params.get(side) is not None else None


@contextmanager
def opened_job(step: str, params: JsonObject, context: Context) -> Iterator[Job]:
    """The job of a bulk step, with its transform's processes and its embedder, which end with it. Raises
    FordwayError for a transform or an embedding that cannot be."""
    with ExitStack() as opened:
        vectors = _vector_target(params, context, opened)
        records = _record_target(params, context)
        transform = params.get("transform")
        if transform is not None and not isinstance(transform, Mapping):
            raise StepFailed("the parameter 'transform' must be a mapping", verdict=Verdict.ABSENT)
        settings = Settings.of(params, vectors=vectors is not None)
        source = _source(params, settings, context)
        pool = None
        if transform is not None or vectors is not None:
            recipe = _recipe(params, transform, vectors, context)
            pool = opened.enter_context(TransformPool(recipe, workers=settings.workers))
        same_ids = keeps_ids(transform) if vectors is None else ids_of_keys(transform)
        yield Job(
            step=step,
            source=source,
            settings=settings,
            shape=pool,
            records=records,
            vectors=vectors,
            claim=not (same_ids and source.unique),
            keyed=source.keyed and vectors is None and same_ids,
        )


def _source(params: JsonObject, settings: Settings, context: Context) -> Source:
    where = params.get("where")
    origin = place(params, "source")
    return record_store(context, origin).source(
        origin.collection,
        where=where if isinstance(where, Mapping) else None,
        batch_records=settings.batch_records,
        batch_bytes=settings.batch_bytes,
    )


def _record_target(params: JsonObject, context: Context) -> RecordTarget | None:
    where = _place(params, "records")
    if where is None:
        return None
    return RecordTarget(name=str(where), store=record_store(context, where), collection=where.collection)


def _vector_target(params: JsonObject, context: Context, opened: ExitStack) -> VectorTarget | None:
    where = _place(params, "vectors")
    if where is None:
        return None
    metric = params.get("metric")
    embedder = _embedder(params, context)
    opened.callback(embedder.close)
    return VectorTarget(
        name=str(where),
        store=vector_store(context, where),
        collection=where.collection,
        embedder=embedder,
        metric=metric if isinstance(metric, str) else "cosine",
    )


def _embedder(params: JsonObject, context: Context) -> Embedder:
    spec, dimension = params.get("embedding"), params.get("dimension")
    if not isinstance(spec, Mapping):
        raise StepFailed(
            "a target of vectors needs an embedding",
            hint="add 'embedding: {provider: static}' to the chromadb store",
            verdict=Verdict.ABSENT,
        )
    return open_embedder(spec, base=context.base, dimension=dimension if isinstance(dimension, int) else None)


def _recipe(
    params: JsonObject, transform: JsonObject | None, vectors: VectorTarget | None, context: Context
) -> Recipe:
    if vectors is None:
        return Recipe(mode=Mode.DOCUMENTS, transform=transform, base=context.base)
    origin = place(params, "source")
    field = _field(params.get("embedding"))
    provenance = Provenance(
        store=origin.store,
        collection=origin.collection,
        vectors=vectors.collection,
        embedding=vectors.embedder.fingerprint,
        dimension=vectors.embedder.dimension,
        field=field,
    )
    mode = Mode.VECTORS if params.get("records") is None else Mode.UNIFIED
    return Recipe(mode=mode, transform=transform, base=context.base, provenance=provenance)


def _field(embedding: Json) -> str | None:
    """The path of the vector in a document, where the documents bring it."""
    if not isinstance(embedding, Mapping) or embedding.get("provider") != "source":
        return None
    field = embedding.get("field")
    return field if isinstance(field, str) else "vector"
