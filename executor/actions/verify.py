"""The ``verify`` action: what a bulk step should have written against what is there, or a count."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from operator import eq, ge, le

from compiler.model.plan import Json, JsonObject, Step, Verdict
from compiler.model.run import Counts
from executor.actions import params
from executor.actions.bulk import opened_job, record_store
from executor.contract import Context, Outcome, StepFailed
from executor.engines.comparing import Comparison, Findings, Sample
from executor.engines.job import Job, RecordTarget, VectorTarget
from executor.stores.port import Store

_NAMED = 5
_SETTLE = 1.0
"""Seconds before a difference is looked at a second time."""
_HOLDS: Mapping[str, Callable[[float, float], bool]] = {"equals": eq, "min": ge, "max": le}


class VerifyRunner:
    """Reads and compares; changes nothing."""

    def prepare(self, step: Step, context: Context) -> JsonObject:  # noqa: ARG002
        return {}

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        """Raises StepFailed if there is a difference; all of them, up to a hundred, are in a file of the
        run's folder."""
        if "bulk" in step.params:
            return _verify_bulk(step, context)
        return _verify_count(step, context)

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:  # noqa: ARG002
        return Verdict.RESUMABLE

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        return Outcome()


def _verify_count(step: Step, context: Context) -> Outcome:
    target = params.place(step.params, "target")
    store = context.stores.open(target.store)
    if not isinstance(store, Store):
        raise StepFailed(f"store '{target.store}' has nothing to count", verdict=Verdict.ABSENT)
    where = step.params.get("where")
    count = store.count(target.collection, where if isinstance(where, Mapping) else None)
    for limit, wanted in params.mapping(step.params, "count").items():
        if isinstance(wanted, (int, float)) and not _HOLDS[limit](count, wanted):
            which = " that match" if where else ""
            raise StepFailed(f"{target} has {count} records{which}; {limit} is {wanted}")
    return Outcome(result={"count": count})


def _verify_bulk(step: Step, context: Context) -> Outcome:
    told = params.mapping(step.params, "bulk")
    task = params.text(told, "taskId")
    checks = set(params.words(step.params, "checks"))
    sample = Sample(share=params.number(step.params, "sample", 100.0))
    with opened_job(task, told, context) as job:
        counted = context.counts_of(task)
        problems = _count_problems(job, told, context, counted) if "counts" in checks else []
        comparison = Comparison(
            job,
            sample,
            records="records" in checks,
            vectors="vectors" in checks,
            explained=lambda key: context.is_dead(task, key),
            proceed=context.proceed,
            progress=context.progress,
            settle=lambda: _settle(context),
        )
        found = Findings()
        if checks & {"records", "vectors"} or counted is None:
            found = comparison.run()
        if counted is None and "counts" in checks:
            problems.extend(_expectation_problems(job, found))
    result = _result(checks, sample, found, counted)
    _tell(step, context, task, problems, found)
    counts = Counts(
        read=found.read,
        unchanged=found.read - found.filtered - found.dead,
        filtered=found.filtered,
        dead=found.dead,
    )
    return Outcome(result=result, counts=counts)


def _settle(context: Context) -> None:
    context.proceed()
    threading.Event().wait(_SETTLE)


def _targets(job: Job) -> list[RecordTarget | VectorTarget]:
    return [target for target in (job.records, job.vectors) if target is not None]


def _count_problems(job: Job, told: JsonObject, context: Context, counted: Counts | None) -> list[str]:
    """What the numbers alone tell."""
    if counted is None:
        return []
    problems: list[str] = []
    source = params.place(told, "source")
    where = told.get("where")
    now = record_store(context, source).count(
        source.collection, where if isinstance(where, Mapping) else None
    )
    if now != counted.read:
        problems.append(f"{source} has {now} records now, and {counted.read} were read")
    arrived = counted.written + counted.unchanged
    before = context.prepared_of(job.step) or {}
    for side, target in (("records", job.records), ("vectors", job.vectors)):
        if target is None:
            continue
        there = target.store.count(target.collection)
        facts = before.get(side)
        empty = isinstance(facts, Mapping) and facts.get("count") == 0
        if there < arrived or (empty and there != arrived):
            problems.append(f"{target.name} has {there} records, and {arrived} should be there")
    return problems


def _expectation_problems(job: Job, found: Findings) -> list[str]:
    """Where nothing is known of the bulk step's own run: at least what the source makes must be there."""
    counts = [(target, target.store.count(target.collection)) for target in _targets(job)]
    return [
        f"{target.name} has {there} records, and {found.expected} should be there"
        for target, there in counts
        if there < found.expected
    ]


def _result(checks: set[str], sample: Sample, found: Findings, counted: Counts | None) -> JsonObject:
    names: list[Json] = [*sorted(checks)]
    result: dict[str, Json] = {
        "checks": names,
        "read": found.read,
        "compared": found.compared,
        "filtered": found.filtered,
        "dead": found.dead,
    }
    if counted is not None:
        result["arrived"] = counted.written + counted.unchanged
    if sample.share < 100 and checks & {"records", "vectors"}:
        result["sample"] = sample.share
        result["chanceToMissOne"] = round(sample.missing, 6)
    return result


def _tell(step: Step, context: Context, task: str, problems: list[str], found: Findings) -> None:
    """Raise StepFailed if anything is wrong, and keep the whole list for people."""
    everything = [*problems, *found.listed]
    if not everything:
        return
    total = len(problems) + found.differences
    path = context.folder / f"{step.id}-differences.txt"
    context.folder.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in everything), encoding="utf-8", errors="backslashreplace")
    shown = "; ".join(everything[:_NAMED]) + ("; …" if total > _NAMED else "")
    raise StepFailed(
        f"'{task}' does not verify: {total} difference{'s' if total > 1 else ''}: {shown}",
        hint=f"the list is in {path}",
    )
