"""The ``restore`` action: records from a file or a backup into a collection.

It is the bulk pipeline with a file in the place of the source: the same manifests, checkpoints and way
back. A collection that does not exist is made as the backup says that it was, with its indexes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import bson

from compiler.model.plan import Json, JsonObject, Step, Verdict
from compiler.model.run import Counts
from executor.actions import params
from executor.actions.indexes import keys_of, name_of
from executor.actions.origin import Origin, origin_of
from executor.actions.params import Place
from executor.actions.vector_shape import FileVectors, VectorShape
from executor.contract import Context, Outcome, StepFailed
from executor.engines import bulk, undo
from executor.engines.job import Job, RecordTarget, VectorTarget
from executor.engines.settings import Settings, Threshold
from executor.stores.files.dump import Entry
from executor.stores.files.vectors import VECTOR
from executor.stores.port import RecordStore, VectorStore


class RestoreRunner:
    """Restores into MongoDB what was MongoDB's, into ChromaDB what was ChromaDB's."""

    def prepare(self, step: Step, context: Context) -> JsonObject:
        """What the target was. Raises StepFailed if there is nothing to restore from, or the backup is not
        what was written."""
        restore = _Restore.of(step, context)
        restore.origin.check()
        return bulk.prepare(restore.job(step.id)) if restore.origin.path is not None else {}

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:
        restore = _Restore.of(step, context)
        restore.origin.check()
        if restore.origin.path is None:
            return Outcome(counts=Counts(), result={"absent": str(restore.origin.entry)})
        job = restore.job(step.id)
        created = _was_absent(prepared)
        if created:
            restore.create(context)
        outcome = bulk.run(job, context, prepared)
        result: dict[str, Json] = dict(outcome.result)
        result.update(restore.add_indexes(context) if created else restore.missing_indexes())
        return replace(outcome, result=result)

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:  # noqa: ARG002
        """Going on from the checkpoint is always safe: what is there is compared before it is written."""
        _Restore.of(step, context).store.ping()
        return Verdict.RESUMABLE

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:
        into = params.place(step.params, "into")
        store = _store(context, into)
        name, collection = str(into), into.collection
        return undo.undo_step(
            context,
            step.undoes or step.id,
            prepared,
            records=(name, store, collection) if isinstance(store, RecordStore) else None,
            vectors=(name, store, collection) if isinstance(store, VectorStore) else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Restore:
    """One restore: from where, into what."""

    origin: Origin
    into: Place
    store: RecordStore | VectorStore
    options: JsonObject
    """The target store's own, of the plan."""
    settings: Settings

    @classmethod
    def of(cls, step: Step, context: Context) -> _Restore:
        into = params.place(step.params, "into")
        store = _store(context, into)
        settings = replace(Settings.of(step.params, vectors=isinstance(store, VectorStore)), documents=True)
        if not isinstance(step.params.get("errorThreshold"), Mapping):
            # What was asked for is all of it.
            settings = replace(settings, threshold=Threshold(rate=0.0))
        return cls(
            origin=origin_of(step.params, into, context),
            into=into,
            store=store,
            options=context.stores.spec(into.store).options,
            settings=settings,
        )

    @property
    def entry(self) -> Entry | None:
        return self.origin.entry

    @property
    def entry_options(self) -> JsonObject:
        return self.entry.options if self.entry is not None else {}

    def job(self, step: str) -> Job:
        """The pipeline's work. Raises StepFailed (verdict ABSENT) if the file is of the other kind."""
        vectors = isinstance(self.store, VectorStore)
        if self.entry is not None and (self.entry.type == "chromadb") is not vectors:
            raise StepFailed(
                f"{self.entry} is a collection of a {self.entry.type} store, and {self.into} is none",
                verdict=Verdict.ABSENT,
            )
        source = self.origin.source(
            vectors=vectors,
            batch_records=self.settings.batch_records,
            batch_bytes=self.settings.batch_bytes,
        )
        target = self._vector_target() if isinstance(self.store, VectorStore) else None
        return Job(
            step=step,
            source=source,
            settings=self.settings,
            shape=None if target is None else VectorShape(target.embedder.dimension),
            records=self._record_target() if target is None else None,
            vectors=target,
            claim=not source.unique,
            keyed=source.keyed and target is None,
        )

    def create(self, context: Context) -> None:
        """Make the collection what the backup says that it was. Nothing happens if it exists."""
        if self.entry is None or self.store.exists(self.into.collection):
            return
        context.proceed()
        if isinstance(self.store, VectorStore):
            self.store.create(
                self.into.collection,
                metric=self._metric(),
                dimension=self.entry.dimension,
                embedding=self.entry.embedding,
            )
        else:
            self.store.create(self.into.collection, self.entry.options)

    def add_indexes(self, context: Context) -> JsonObject:
        """Make the indexes that the backup speaks of, once the records are there: that is faster."""
        made: list[Json] = []
        for index in self._indexes_to_add():
            context.proceed()
            assert isinstance(self.store, RecordStore)
            options = {key: value for key, value in index.items() if key != "keys"}
            if "collation" in self.entry_options:
                # An index that has none would be given its collection's.
                options.setdefault("collation", {"locale": "simple"})
            self.store.create_index(self.into.collection, keys_of(index), options)
            made.append(name_of(index))
        return {"indexes": made} if made else {}

    def missing_indexes(self) -> JsonObject:
        """Which of the backup's indexes a collection that was there before does not have."""
        missing: list[Json] = [name_of(index) for index in self._indexes_to_add()]
        return {"missingIndexes": missing} if missing else {}

    def _indexes_to_add(self) -> list[JsonObject]:
        if self.entry is None or not self.entry.indexes:
            return []
        there = {name_of(index) for index in self.store.facts(self.into.collection).indexes}
        return [index for index in self.entry.indexes if name_of(index) not in there]

    def _record_target(self) -> RecordTarget:
        assert isinstance(self.store, RecordStore)
        return RecordTarget(name=str(self.into), store=self.store, collection=self.into.collection)

    def _vector_target(self) -> VectorTarget:
        assert isinstance(self.store, VectorStore)
        made_by = self.entry.embedding if self.entry is not None else None
        there = self.store.facts(self.into.collection)
        dimension = next((found for found in (self._dimension(), there.dimension) if found is not None), None)
        return VectorTarget(
            name=str(self.into),
            store=self.store,
            collection=self.into.collection,
            embedder=FileVectors(
                # Where it is not known what made the vectors, they are taken to be what is there.
                fingerprint=made_by or there.embedding or "",
                dimension=self._first_dimension() if dimension is None else dimension,
            ),
            metric=self._metric(),
        )

    def _dimension(self) -> int | None:
        if self.entry is not None and self.entry.dimension is not None:
            return self.entry.dimension
        given = self.options.get("dimension")
        return given if isinstance(given, int) else None

    def _metric(self) -> str:
        if self.entry is not None and self.entry.metric is not None:
            return self.entry.metric
        given = self.options.get("metric")
        return given if isinstance(given, str) else "cosine"

    def _first_dimension(self) -> int:
        """The dimension of the file's first vector; 1 if there is none."""
        for batch in self.origin.source(vectors=True, batch_records=1, batch_bytes=1).read(None):
            packed = bson.decode(batch.records[0])[VECTOR]
            assert isinstance(packed, bytes)
            return len(packed) // 4
        return 1


def _store(context: Context, into: Place) -> RecordStore | VectorStore:
    store = context.stores.open(into.store)
    if isinstance(store, (RecordStore, VectorStore)):
        return store
    raise StepFailed(f"store '{into.store}' has no collections", verdict=Verdict.ABSENT)


def _was_absent(prepared: JsonObject) -> bool:
    """Whether the target did not exist when the step was prepared."""
    found = [prepared.get(side) for side in ("records", "vectors")]
    return any(isinstance(facts, Mapping) and facts.get("existed") is False for facts in found)
