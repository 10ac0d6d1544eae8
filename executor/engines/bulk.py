"""A bulk job from end to end: what was there, the move, what must hold afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.model.plan import Json, JsonObject, Verdict
from compiler.model.run import Counts
from executor.contract import Context, Outcome, StepFailed
from executor.engines.claims import Claims
from executor.engines.cursor import Start, find_start
from executor.engines.job import Job, Pending
from executor.engines.manifest import Manifests, manifests_of
from executor.engines.pipeline import Pipeline, target_ids
from executor.engines.records import RecordSide
from executor.engines.unit import Unit, UnitWriter
from executor.engines.vectors import VectorSide
from executor.stores.port import CollectionFacts


def prepare(job: Job) -> JsonObject:
    """What the targets were before the first effect, to be journalled with the intent. Raises StoreRefused
    if a target is not what the job needs."""
    found: dict[str, Json] = {}
    if job.records is not None:
        found["records"] = _facts(job.records.store.facts(job.records.collection), job.records.name)
    if job.vectors is not None:
        target = job.vectors
        target.store.check(
            target.collection,
            metric=target.metric,
            dimension=target.embedder.dimension,
            embedding=target.embedder.fingerprint,
        )
        found["vectors"] = _facts(target.store.facts(target.collection), target.name)
    return found


def _facts(facts: CollectionFacts, name: str) -> JsonObject:
    if facts.view:
        raise StepFailed(f"{name} is a view and cannot be written", verdict=Verdict.ABSENT)
    if facts.options.get("capped"):
        raise StepFailed(
            f"{name} is capped: it forgets old records to make room, and could not be taken back",
            hint="copy into a collection that is not capped",
            verdict=Verdict.ABSENT,
        )
    return {"existed": facts.exists, "count": facts.count, "ordered": facts.ordered}


def _was(prepared: JsonObject, side: str) -> Mapping[str, Json]:
    facts = prepared.get(side)
    return facts if isinstance(facts, Mapping) else {}


def run(job: Job, context: Context, prepared: JsonObject) -> Outcome:
    """Move everything that is not there yet. Raises FordwayError, Stopped."""
    sides = [side for side, target in (("records", job.records), ("vectors", job.vectors)) if target]
    fresh = all(_was(prepared, side).get("count") == 0 for side in sides)
    writer, logs = _writer(job, context, prepared)
    start = find_start(context, logs, fresh=fresh)
    if job.vectors is not None and not job.vectors.store.exists(job.vectors.collection):
        context.proceed()
        job.vectors.store.create(
            job.vectors.collection,
            metric=job.vectors.metric,
            dimension=job.vectors.embedder.dimension,
            embedding=job.vectors.embedder.fingerprint,
        )
    claims = _claims(job, context, start) if job.claim else None
    try:
        counts = Pipeline(job, context, start, writer, claims).run()
        _check(job, counts, fresh=fresh)
    except BaseException:
        if claims is not None:
            claims.close(delete=False)
        raise
    if claims is not None:
        claims.close(delete=True)
    return Outcome(counts=counts, result={"fresh": fresh, "deadLetters": counts.dead})


def _writer(job: Job, context: Context, prepared: JsonObject) -> tuple[UnitWriter, list[Manifests]]:
    settings, logs = job.settings, []
    records = vectors = None
    if job.records is not None:
        ordered = _was(prepared, "records").get("ordered") is not False
        logs.append(manifests_of(job.records.store, context, job.step))
        records = RecordSide(
            job.records.store,
            job.records.collection,
            logs[-1],
            existing=settings.existing,
            ranges=job.keyed and ordered,
        )
    if job.vectors is not None:
        logs.append(manifests_of(job.vectors.store, context, job.step))
        vectors = VectorSide(
            job.vectors.store,
            job.vectors.collection,
            logs[-1],
            existing=settings.existing,
            given=job.vectors.embedder.from_documents,
        )
    writer = UnitWriter(
        records=records,
        vectors=vectors,
        target=job.vectors,
        proceed=context.proceed,
        documents=settings.documents,
    )
    return writer, logs


def _claims(job: Job, context: Context, start: Start) -> Claims:
    claims = Claims(context.folder / f"{job.step}.ids")
    position = start.counts.read
    if claims.position < position:
        claims.go_back(0)
        _claim_again(job, claims, position)
    claims.go_back(position)
    return claims


def _claim_again(job: Job, claims: Claims, upto: int) -> None:
    """Read the part of the source that is done once more, only for its ids: their list was lost."""
    position = 0
    for sequence, batch in enumerate(job.source.read(None)):
        if position >= upto:
            return
        unit = Unit(sequence, position, batch, True, batch.resume)
        if job.shape is not None:
            pending: Pending = job.shape.submit(batch.records)
            unit.shaped = pending.result()
        places, ids = target_ids(unit)
        position += len(batch.records)
        claims.claim([(unit.position + at, value) for at, value in zip(places, ids, strict=True)], position)


def _check(job: Job, counts: Counts, *, fresh: bool) -> None:
    """What must hold at the end of every bulk step."""
    if not counts.balanced:
        raise StepFailed(
            f"{counts.read} records were read, but {counts.written} written, {counts.unchanged} unchanged,"
            f" {counts.filtered} filtered and {counts.dead} dead do not make that number"
        )
    exceeded = job.settings.threshold.exceeded(counts.read, counts.dead)
    if exceeded:
        raise StepFailed(
            f"step '{job.step}' has too many dead letters: {exceeded}",
            hint="the dead letters say why; correct the source or the transform, or raise errorThreshold",
        )
    if not fresh:
        return
    for target in (job.records, job.vectors):
        if target is None:
            continue
        there = target.store.count(target.collection)
        expected = counts.written + counts.unchanged
        if there != expected:
            raise StepFailed(
                f"{target.name} was empty and has {there} records now, but {expected} were written",
                hint="does somebody else write to it?",
            )
