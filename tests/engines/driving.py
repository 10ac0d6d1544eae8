"""A bulk step as the run loop drives it: real stores, the real journal, a state folded from its events."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from compiler.model.codec import seal, to_json
from compiler.model.plan import CompiledPlan, Json, JsonObject, PlanKind, Step, StoreSpec, Verb
from compiler.model.run import Counts, StepState
from executor.actions.bulk import BulkRunner
from executor.actions.verify import VerifyRunner
from executor.clock import SystemClock
from executor.contract import Context, DeadLetter, Outcome
from executor.journal.events import Event, Graph, Phase
from executor.journal.fold import fold
from executor.journal.sqlite import SqliteJournal
from executor.journal.writer import StepJournal
from executor.stores.port import RecordStore, VectorStore
from executor.stores.registry import OpenStores

STEP = "copy"


class Drive:
    """One project folder with its stores ``m`` (MongoDB) and ``v`` (ChromaDB), and runs of one bulk step."""

    def __init__(self, folder: Path, stores: Mapping[str, StoreSpec]) -> None:
        self.folder, self.state = folder, folder / ".plan"
        self.stores = OpenStores(stores, base=folder, state=self.state)
        self.journal = SqliteJournal(self.state / "journal.db")
        self.progress: list[Counts] = []
        self.effects = 0
        """How often the step asked whether it may go on."""
        self.proceed: Callable[[], None] = lambda: None
        self.run_id, self.token = "", 0

    def close(self) -> None:
        self.stores.close_all()
        self.journal.close()

    @property
    def records(self) -> RecordStore:
        store = self.stores.open("m")
        assert isinstance(store, RecordStore)
        return store

    @property
    def vectors(self) -> VectorStore:
        store = self.stores.open("v")
        assert isinstance(store, VectorStore)
        return store

    def begin(self, run: str | None = None) -> None:
        """A new run, or one that was begun before, as a process that takes it over does."""
        if run is not None:
            self.run_id = run
            self.token = self.journal.take_over(run, {})
            return
        self.run_id = uuid.uuid4().hex[:12]
        plan = seal(CompiledPlan(name="driven", kind=PlanKind.PLAN, format=1))
        self.token = self.journal.create(self.run_id, plan, {}, Event(phase=Phase.STARTED, at=time.time()))

    def step_state(self, step: str = STEP, graph: Graph = Graph.PLAN) -> StepState:
        """What the journal says of a step of this run."""
        state = fold(self.journal.row(self.run_id), self.journal.events(self.run_id))
        nodes = state.steps if graph is Graph.PLAN else state.rollback
        return nodes.get(step, StepState())

    def _record(self, step: str, phase: Phase, data: JsonObject, graph: Graph) -> None:
        event = Event(phase=phase, at=time.time(), step=step, graph=graph, attempt=1, data=data)
        self.journal.append(self.run_id, self.token, event)

    def _may_go_on(self) -> None:
        self.effects += 1
        self.proceed()

    def context(self, step: str = STEP, graph: Graph = Graph.PLAN) -> Context:
        """What the run loop would give the step now."""
        state = self.step_state(step, graph)
        return Context(
            run=self.run_id,
            key="key",
            attempt=state.attempts + 1,
            base=self.folder,
            state=self.state,
            folder=self.state / "runs" / self.run_id,
            stores=self.stores,
            journal=StepJournal(
                self.journal, self.run_id, self.token, graph, step, 1, SystemClock(), lambda *_: None
            ),
            undo_log=lambda of: self.journal.undo_log(self.run_id, self.token, of),
            progress=self.progress.append,
            proceed=self._may_go_on,
            prepared_of=lambda of: self.step_state(of).prepared,
            counts_of=lambda of: self.step_state(of).counts,
            is_dead=lambda of, key: any(
                letter.key == key for letter in self.journal.dead_letters(self.run_id, of)
            ),
            checkpoint=state.checkpoint,
            counts=state.counts,
        )

    def run(self, params: JsonObject) -> Outcome:
        """One attempt of the step: prepared at the first, continued afterwards."""
        step = Step(id=STEP, kind="bulk", params=params)
        runner = BulkRunner()
        prepared = self.step_state().prepared
        if prepared is None:
            prepared = runner.prepare(step, self.context())
        self._record(STEP, Phase.INTENT, {"prepared": prepared}, Graph.PLAN)
        outcome = runner.run(step, self.context(), prepared)
        assert outcome.counts is not None
        self._record(
            STEP,
            Phase.OUTCOME,
            {"status": "done", "result": outcome.result, "counts": to_json(outcome.counts)},
            Graph.PLAN,
        )
        return outcome

    def counts(self, params: JsonObject) -> Counts:
        """The same; what was counted."""
        counts = self.run(params).counts
        assert counts is not None
        return counts

    def undo(self, params: JsonObject) -> JsonObject:
        """One attempt of the step's inverse; its result."""
        step = Step(id=f"undo:{STEP}", kind="bulk", params=params, verb=Verb.UNDO, undoes=STEP)
        prepared = self.step_state().prepared or {}
        outcome = BulkRunner().undo(step, self.context(step.id, Graph.ROLLBACK), prepared)
        return outcome.result

    def verify(self, params: JsonObject, *checks: str, sample: float = 100) -> JsonObject:
        """A verify step of the bulk step; its result. Raises StepFailed."""
        told: dict[str, Json] = {
            "bulk": {**params, "taskId": STEP},
            "checks": list(checks),
            "sample": sample,
        }
        step = Step(id="check", kind="verify", params=told)
        return VerifyRunner().run(step, self.context("check"), {}).result

    def dead(self) -> list[DeadLetter]:
        return self.journal.dead_letters(self.run_id, STEP)


def copy(source: str = "source", target: str = "target", **more: Json) -> JsonObject:
    """Params of a plain copy from ``m.source`` to ``m.target``."""
    return {
        "source": {"store": "m", "collection": source},
        "mode": "copy",
        "records": {"store": "m", "collection": target},
        "vectors": None,
        "transform": None,
        "batchSize": 100,
        "retryDelay": 0.05,
        **more,
    }


CONTENT: JsonObject = {
    "steps": [{"require": ["body"]}],
    "content": {"type": "note", "text": "body", "metadata": ["lang"], "vectorMetadata": ["lang"]},
}


def unified(**more: Json) -> JsonObject:
    """Params of unified content from ``m.source`` into ``m.target`` and ``v.target``."""
    return {
        **copy(),
        "mode": "unified",
        "vectors": {"store": "v", "collection": "target"},
        "transform": CONTENT,
        "embedding": {"provider": "static"},
        "metric": "cosine",
        "dimension": 256,
        "workers": 1,
        **more,
    }


def vectors_only(**more: Json) -> JsonObject:
    """Params of vectors alone, from ``m.source`` into ``v.target``."""
    return {**unified(), "mode": "vectors", "records": None, **more}
