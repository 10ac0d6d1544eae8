"""Plans built by code, as the compiler seals them, for the renderers to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from compiler.model.codec import seal
from compiler.model.plan import (
    FORMAT,
    Category,
    CompiledPlan,
    Edge,
    Estimate,
    Guard,
    Inverse,
    JsonObject,
    Phase,
    PlanKind,
    Policy,
    Procedure,
    RollbackPlan,
    Schedule,
    Severity,
    Step,
    StoreSpec,
    Trigger,
    Verb,
    Verdict,
)

STORES = {
    "legacy": StoreSpec(
        type="mongodb", options={"uri": "mongodb://ann:s3cret@db.example:27017", "database": "legacy"}
    ),
    "documents": StoreSpec(type="mongodb", options={"uri": {"fromEnv": "MONGO_URI"}, "database": "content"}),
    "vectors": StoreSpec(
        type="chromadb", options={"path": "embedded:small", "metric": "cosine", "dimension": 256}
    ),
}
BULK: JsonObject = {
    "mode": "unified",
    "source": {"store": "legacy", "collection": "notes"},
    "records": {"store": "documents", "collection": "content"},
    "vectors": {"store": "vectors", "collection": "content"},
    "transform": {"steps": [{"rename": {"meta.author": "author"}}, {"drop": ["tmp"]}]},
    "embedding": {"provider": "static"},
    "where": None,
    "existing": "replace",
    "errorThreshold": {"rate": 1.0, "count": None},
}


def minutes(low: float, likely: float, high: float) -> Estimate:
    return Estimate(low=low * 60, likely=likely * 60, high=high * 60, provenance="declared")


def at(start: float, end: float, slack: float = 0.0) -> Schedule:
    """A schedule given in minutes."""
    return Schedule(start=start * 60, end=end * 60, slack=slack * 60)


def barrier(name: str, phase: str = "") -> Step:
    return Step(id=name, kind="barrier", verb=Verb.BARRIER, phase=phase)


def five() -> CompiledPlan:
    """Five steps in three phases, with everything that a plan can say about a step."""
    steps = (
        Step(
            id="load-legacy",
            kind="restore",
            phase="preparation",
            name="Load the legacy notes",
            params={
                "from": "data/notes.bson.gz",
                "into": {"store": "legacy", "collection": "notes"},
                "existing": "replace",
            },
            writes=("legacy.notes",),
            inverse=Inverse(summary="delete what was loaded, restore what it replaced"),
            estimate=minutes(0.5, 1, 2),
            schedule=at(0, 1),
        ),
        Step(
            id="create-content",
            kind="provision",
            phase="preparation",
            params={
                "collections": [
                    {
                        "target": {"store": "documents", "collection": "content"},
                        "indexes": [{"keys": {"type": 1}}],
                    },
                    {"target": {"store": "vectors", "collection": "content"}},
                ]
            },
            writes=("documents.content", "vectors.content"),
            inverse=Inverse(summary="drop what it created and nobody filled since", safe_when_absent=True),
            estimate=Estimate(low=1, likely=2, high=5, provenance="default"),
            schedule=at(0, 0.03, 0.97),
        ),
        barrier("preparation/end", "preparation"),
        Step(
            id="copy-notes",
            kind="bulk",
            phase="copy",
            name="Copy the notes",
            params=BULK,
            reads=("legacy.notes",),
            writes=("documents.content", "vectors.content"),
            inverse=Inverse(summary="delete what was written, restore before-images"),
            estimate=minutes(8, 12, 20),
            schedule=at(1, 13),
            timeout=3600.0,
            resources=("embedding-model",),
            assignee="data team",
            deliverables=("content collection",),
        ),
        Step(
            id="verify-notes",
            kind="verify",
            phase="copy",
            category=Category.CHECK,
            params={
                "bulk": {**BULK, "taskId": "copy-notes"},
                "checks": ["counts", "records"],
                "sample": 25.0,
            },
            reads=("legacy.notes", "documents.content"),
            inverse=Inverse(summary="", nothing=True),
            estimate=minutes(1, 2, 3),
            schedule=at(13, 15),
        ),
        barrier("copy/end", "copy"),
        Step(
            id="drop-legacy",
            kind="command",
            phase="cut-over",
            category=Category.INFRASTRUCTURE,
            params={"run": ["mongosh", "--eval", "db.notes.drop()"], "shell": False},
            irreversible="the legacy collection is gone; its backup stays for 30 days",
            pivot=True,
            estimate=Estimate(low=1, likely=1, high=1, provenance="declared"),
            schedule=at(15, 15.02),
        ),
    )
    edges = (
        Edge(before="copy-notes", after="verify-notes"),
        Edge(before="copy/end", after="drop-legacy"),
        Edge(before="create-content", after="preparation/end"),
        Edge(before="load-legacy", after="copy-notes"),
        Edge(before="load-legacy", after="preparation/end"),
        Edge(before="preparation/end", after="copy-notes"),
        Edge(before="preparation/end", after="verify-notes"),
        Edge(before="verify-notes", after="copy/end"),
    )
    procedures = (
        Procedure(
            step=Step(
                id="point-readers-back",
                kind="script",
                category=Category.TRAFFIC,
                params={"path": "scripts/switch.sh", "args": ["legacy"]},
                estimate=minutes(1, 1, 1),
            ),
            order=1,
        ),
        Procedure(
            step=Step(
                id="reload-archive",
                kind="manual",
                category=Category.DATA,
                params={"instructions": "Ask the archive for last night's copy and load it."},
                critical=False,
            ),
            order=2,
            undoes=("load-legacy",),
            dependencies=("point-readers-back",),
        ),
    )
    checks = (
        Step(
            id="legacy-complete",
            kind="verify",
            category=Category.CHECK,
            params={"target": {"store": "legacy", "collection": "notes"}, "count": {"min": 10000}},
        ),
    )
    return seal(
        CompiledPlan(
            name="small",
            kind=PlanKind.PLAN,
            format=FORMAT,
            version="1.0.0",
            source="plan.yaml",
            stores=STORES,
            phases=(
                Phase(id="preparation", name="Preparation", description="Bring the legacy data here."),
                Phase(id="copy", name="Copy", dependencies=("preparation",)),
                Phase(id="cut-over", name="Cut over", dependencies=("copy",)),
            ),
            steps=steps,
            edges=edges,
            triggers=(
                Trigger(
                    id="too-many-errors",
                    condition="errorRate > threshold",
                    threshold=5.0,
                    window=30.0,
                    samples=3,
                    step="copy-notes",
                ),
                Trigger(
                    id="slow",
                    condition="throughput < 100",
                    window=60.0,
                    severity=Severity.CRITICAL,
                    automated=False,
                ),
            ),
            rollback=RollbackPlan(procedures=procedures, checks=checks),
            policy=Policy(max_parallel=2),
            estimate=minutes(9.5, 15, 25),
            critical_path=("load-legacy", "copy-notes", "verify-notes", "drop-legacy"),
        )
    )


def rollback() -> CompiledPlan:
    """The way back from a plan that failed while ``copy-notes`` ran."""
    plan = five()
    by_id = {step.id: step for step in plan.steps}

    def undo(of: str) -> Step:
        return Step(
            id=f"undo-{of}",
            kind=by_id[of].kind,
            verb=Verb.UNDO,
            params=by_id[of].params,
            undoes=of,
            inverse=by_id[of].inverse,
            estimate=minutes(1, 3, 6),
        )

    copy = replace(
        undo("copy-notes"),
        guard=Guard(step="probe-copy-notes", verdicts=(Verdict.APPLIED, Verdict.RESUMABLE)),
    )
    by_hand = Step(
        id="clean-copy-notes",
        kind="manual",
        params={"instructions": "Look whether the copy left records, and delete them."},
        undoes="copy-notes",
        guard=Guard(step="probe-copy-notes", verdicts=(Verdict.UNKNOWN,)),
    )
    steps = (
        Step(
            id="stores-answer",
            kind="health",
            category=Category.CHECK,
            params={"store": "legacy", "within": 30.0},
        ),
        plan.rollback.procedures[0].step,
        Step(id="probe-copy-notes", kind="bulk", verb=Verb.PROBE, params=BULK, undoes="copy-notes"),
        copy,
        by_hand,
        undo("create-content"),
        replace(plan.rollback.procedures[1].step, undoes="load-legacy"),
        plan.rollback.checks[0],
    )
    order = (
        ("stores-answer", "point-readers-back"),
        ("point-readers-back", "probe-copy-notes"),
        ("point-readers-back", "reload-archive"),
        ("probe-copy-notes", "undo-copy-notes"),
        ("probe-copy-notes", "clean-copy-notes"),
        ("undo-copy-notes", "undo-create-content"),
        ("clean-copy-notes", "undo-create-content"),
        ("undo-copy-notes", "reload-archive"),
        ("clean-copy-notes", "reload-archive"),
        ("undo-create-content", "legacy-complete"),
        ("reload-archive", "legacy-complete"),
    )
    return seal(
        CompiledPlan(
            name="small",
            kind=PlanKind.ROLLBACK,
            format=FORMAT,
            version="1.0.0",
            stores=STORES,
            steps=steps,
            edges=tuple(sorted(Edge(before=a, after=b) for a, b in order)),
            estimate=minutes(5, 10, 20),
            plan_digest=plan.digest,
        )
    )


def many(count: int, phases: int) -> CompiledPlan:
    """``count`` steps in ``phases`` phases that follow each other through barriers; within a phase chains
    of four. Every fiftieth step is irreversible, the last one a pivot."""
    steps: list[Step] = []
    edges: list[Edge] = []
    gate = ""
    size = count // phases
    for number in range(phases):
        phase = f"phase-{number:02}"
        here: list[str] = []
        for place in range(size if number < phases - 1 else count - size * (phases - 1)):
            name = f"copy-{number:02}-{place:03}"
            start = number * 8 + place % 4 * 2
            steps.append(
                Step(
                    id=name,
                    kind="bulk",
                    phase=phase,
                    params={**BULK, "source": {"store": "legacy", "collection": f"part{place}"}},
                    irreversible="gone for good" if len(here) % 50 == 49 else None,
                    inverse=None if len(here) % 50 == 49 else Inverse(summary="delete what was written"),
                    estimate=minutes(1, 2, 4),
                    schedule=at(start, start + 2),
                )
            )
            if place % 4:
                edges.append(Edge(before=here[-1], after=name))
            elif gate:
                edges.append(Edge(before=gate, after=name))
            here.append(name)
        gate = f"{phase}/end"
        edges += [Edge(before=name, after=gate) for name in here]
        steps.append(barrier(gate, phase))
    path = tuple(f"copy-{number:02}-{place:03}" for number in range(phases) for place in range(4))
    last = max(place for place, step in enumerate(steps) if step.verb is not Verb.BARRIER)
    steps[last] = replace(steps[last], pivot=True)
    return seal(
        CompiledPlan(
            name=f"many-{count}",
            kind=PlanKind.PLAN,
            format=FORMAT,
            version="2.1.0",
            source="plan.yaml",
            stores=STORES,
            phases=tuple(
                Phase(
                    id=f"phase-{number:02}",
                    name=f"Region {number + 1}",
                    dependencies=(f"phase-{number - 1:02}",) if number else (),
                )
                for number in range(phases)
            ),
            steps=tuple(steps),
            edges=tuple(sorted(edges)),
            policy=Policy(max_parallel=8),
            estimate=minutes(8 * phases * 0.5, 8 * phases, 16 * phases),
            critical_path=path,
        )
    )


def hostile(text: str) -> CompiledPlan:
    """A plan in which every string that people can write is ``text``."""
    plan = five()

    def spoilt(step: Step) -> Step:
        return replace(
            step,
            id=f"{step.id} {text}",
            kind=step.kind if step.verb is Verb.BARRIER else text,
            name=text,
            description=text,
            params={},
            reads=(text,),
            writes=(text,),
            irreversible=None if step.irreversible is None else text,
            inverse=None if step.inverse is None else replace(step.inverse, summary=text),
            assignee=text,
            deliverables=(text,),
            resources=(text,),
        )

    return seal(
        replace(
            plan,
            name=text,
            version=text,
            source=text,
            stores={text: StoreSpec(type=text, options={"path": text})},
            phases=tuple(replace(phase, name=text, description=text) for phase in plan.phases),
            steps=tuple(spoilt(step) for step in plan.steps),
            edges=tuple(
                Edge(before=f"{edge.before} {text}", after=f"{edge.after} {text}") for edge in plan.edges
            ),
            critical_path=tuple(f"{step} {text}" for step in plan.critical_path),
            triggers=tuple(replace(trigger, id=text, condition=text) for trigger in plan.triggers),
            rollback=RollbackPlan(
                procedures=tuple(
                    replace(item, step=replace(spoilt(item.step), params={}), dependencies=(text,))
                    for item in plan.rollback.procedures
                )
            ),
        )
    )


@pytest.fixture
def five_steps() -> CompiledPlan:
    return five()


@pytest.fixture
def way_back() -> CompiledPlan:
    return rollback()


@pytest.fixture
def large_rollback() -> CompiledPlan:
    """A check, four hundred probes each with its inverse, and a check again."""
    way_back = rollback()
    first, probe, undo, last = (
        way_back.step(name)
        for name in ("stores-answer", "probe-copy-notes", "undo-copy-notes", "legacy-complete")
    )
    steps, edges = [first], []
    for number in range(400):
        asked = replace(probe, id=f"probe-{number:03}")
        steps += [
            asked,
            replace(undo, id=f"undo-{number:03}", guard=Guard(step=asked.id, verdicts=(Verdict.APPLIED,))),
        ]
        edges += [(first.id, asked.id), (asked.id, steps[-1].id), (steps[-1].id, last.id)]
    return seal(
        replace(
            way_back,
            steps=(*steps, last),
            edges=tuple(sorted(Edge(before=before, after=after) for before, after in edges)),
        )
    )


@pytest.fixture
def plan_of() -> Callable[[int, int], CompiledPlan]:
    """``plan_of(steps, phases)``."""
    return many


@pytest.fixture
def spoilt_by() -> Callable[[str], CompiledPlan]:
    return hostile
