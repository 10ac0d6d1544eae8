"""A run's life: begun, resumed, rolled back, ended. What is decided here follows from the compiled plan
and the journal alone."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from compiler.model.plan import CompiledPlan, JsonObject, Severity
from compiler.model.run import Counts, RunState, RunStatus, StepState, StepStatus
from compiler.rollback.derive import derive, touched
from executor.actions.registry import runner_of
from executor.clock import Clock, SystemClock
from executor.contract import FordwayError
from executor.crashpoints import reach
from executor.emit import emit_graph
from executor.execution import Execution, Observer, Stop, Surroundings
from executor.folders import backups_folder, journal_file, run_folder
from executor.journal.events import Event, Graph, Phase
from executor.journal.fold import fold
from executor.journal.sqlite import SqliteJournal
from executor.lease import Leases, StateLeases
from executor.owner import this_process
from executor.preflight import (
    claims,
    open_and_ping,
    refuse_missing_places,
    refuse_moved_files,
    stores_of,
)
from executor.stores.registry import OpenStores
from executor.triggers.watch import Meter, Watch

FINAL = frozenset(
    {
        RunStatus.COMPLETED,
        RunStatus.ROLLED_BACK,
        RunStatus.ROLLED_BACK_WITH_WARNINGS,
        RunStatus.SUPERSEDED,
    }
)


class UnknownRun(FordwayError):
    """There is no such run in this state folder."""

    exit_code = 2


class UnfinishedRun(FordwayError):
    """Another run of the plan has not ended; nothing new may begin before it has."""

    exit_code = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A node of a failed rollback that a person takes out of the way, and why."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What a command gives to a run: who watches, who may stop it, whether it waits for people."""

    observer: Observer
    stop_asked: Callable[[], Stop] = lambda: Stop.NO
    wait_for_people: bool = False
    clock: Clock = field(default_factory=SystemClock)


def new_run_id(clock: Clock) -> str:
    """``YYYYMMDD-HHMMSS-xxxx`` in UTC: sorts by time, unique by four random hex digits."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime(clock.now())) + "-" + secrets.token_hex(2)


class Runs:
    """The runs of one state folder."""

    def __init__(self, state: Path, hands: Hands) -> None:
        self._state, self._hands = state.absolute(), hands
        self.journal = SqliteJournal(journal_file(self._state))

    @classmethod
    @contextmanager
    def opened(cls, state: Path, hands: Hands) -> Iterator[Runs]:
        """The runs of a state folder, for the length of a block."""
        runs = cls(state, hands)
        try:
            yield runs
        finally:
            runs.close()

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()

    def named(self, run: str | None) -> str:
        """That run, or the one that began last. Raises UnknownRun."""
        rows = self.journal.runs()
        if run is None and rows:
            return rows[-1].run
        return self.state_of(run or "").run

    def state_of(self, run: str) -> RunState:
        """A run as its journal says. Raises UnknownRun."""
        try:
            row = self.journal.row(run)
        except KeyError:
            known = ", ".join(item.run for item in self.journal.runs()[-5:]) or "none"
            raise UnknownRun(
                f"there is no run '{run}' in {self._state}", hint=f"runs here: {known}"
            ) from None
        return fold(row, self.journal.events(run))

    def plan_of(self, run: str) -> CompiledPlan:
        """The compiled plan of a run."""
        return self.journal.graph(self.journal.row(run).plan_digest)

    def unfinished(self, name: str) -> list[RunState]:
        """The runs of a plan that have not ended, oldest first."""
        states = [self.state_of(row.run) for row in self.journal.runs() if row.name == name]
        return [state for state in states if state.status not in FINAL]

    def look(self, plan: CompiledPlan, base: Path) -> None:
        """All that a start looks at before it writes: files unmoved, stores answering."""
        refuse_moved_files(plan, base)
        stores = OpenStores(plan.stores, base=base, state=self._state)
        try:
            open_and_ping(stores, stores_of(plan.steps))
            refuse_missing_places(plan, stores)
        finally:
            stores.close_all()

    def start(self, plan: CompiledPlan, base: Path) -> RunState:
        """Begin a run of a plan whose paths start from ``base``, and go on until it ends or waits."""
        refuse_moved_files(plan, base)
        run = new_run_id(self._hands.clock)
        with self._owned(run, plan, plan, base) as (stores, leases):
            refuse_missing_places(plan, stores)
            started = Event(phase=Phase.STARTED, at=self._now(), data={"base": str(base)})
            token = self.journal.create(run, plan, this_process(run), started)
            reach("run.created")
            return self._live(run, token, plan, base, stores, leases)

    def resume(self, run: str) -> RunState:
        """Go on with a run that was interrupted, paused, or waited; the same compiled plan, from the last
        checkpoint. A run that has ended is left as it is."""
        state, plan, base = self._recall(run)
        if state.status in FINAL:
            return state
        if state.status in (RunStatus.ROLLBACK_FAILED, RunStatus.HALTED):
            raise UnfinishedRun(
                f"run {run} is {state.status.value}: {state.reason or 'a person is needed'}",
                hint=f"look at 'plan status {run}', then: plan rollback {run} --continue",
            )
        graph = plan if state.rollback_digest is None else self.journal.graph(state.rollback_digest)
        refuse_moved_files(plan, base)
        with self._owned(run, plan, graph, base) as (stores, leases):
            token = self._take_over(run)
            if state.rollback_digest is not None:
                return self._go_back(run, token, plan, base, stores, leases)
            return self._live(run, token, plan, base, stores, leases)

    def supersede(self, run: str) -> None:
        """End a run as it stands, because a person begins anew. It can still be taken back."""
        token = self.journal.take_over(run, this_process(run))
        self._append(run, token, Phase.ENDED, {"status": RunStatus.SUPERSEDED.value, "reason": "superseded"})

    def rollback_graph(self, run: str) -> CompiledPlan:
        """The way back from where the run stands; the graph that was decided on, where there is one."""
        state, plan, _ = self._recall(run)
        if state.rollback_digest is not None:
            return self.journal.graph(state.rollback_digest)
        return derive(plan, state.steps)

    def roll_back(self, run: str, reason: str, skips: Sequence[Skip] = ()) -> RunState:
        """Take a run back because a person asks for it, or go on with a rollback that failed."""
        state, plan, base = self._recall(run)
        if state.status in (RunStatus.ROLLED_BACK, RunStatus.ROLLED_BACK_WITH_WARNINGS):
            return state
        graph = self.rollback_graph(run)
        unknown = [skip.step for skip in skips if skip.step not in {step.id for step in graph.steps}]
        if unknown:
            raise UnknownRun(f"the rollback graph has no step '{unknown[0]}'")
        with self._owned(run, plan, graph, base) as (stores, leases):
            token = self._take_over(run)
            if state.rollback_digest is None:
                self._decide(run, token, graph, reason, asked=True)
            for skip in skips:
                data: JsonObject = {"status": "skipped", "result": {"skippedBecause": skip.reason}}
                self._append(run, token, Phase.OUTCOME, data, step=skip.step, graph=Graph.ROLLBACK)
            return self._go_back(run, token, plan, base, stores, leases)

    def confirm(self, run: str, step: str, by: str) -> StepState:
        """Record that a person did a manual step. Raises FordwayError if it does not wait for that."""
        state = self.state_of(run)
        for graph, nodes in ((Graph.PLAN, state.steps), (Graph.ROLLBACK, state.rollback)):
            if step in nodes and nodes[step].status is StepStatus.WAITING:
                data: JsonObject = {"confirmedBy": by, "instructions": nodes[step].result.get("instructions")}
                event = Event(phase=Phase.CONFIRMED, at=self._now(), graph=graph, step=step, data=data)
                self.journal.confirm(run, event)
                after = self.state_of(run)
                return (after.steps if graph is Graph.PLAN else after.rollback)[step]
        waiting = [
            key
            for nodes in (state.steps, state.rollback)
            for key, item in nodes.items()
            if item.status is StepStatus.WAITING
        ]
        raise UnknownRun(
            f"step '{step}' of run {run} does not wait for a person",
            hint="these do: " + ", ".join(waiting) if waiting else "no step of this run does",
        )

    def _recall(self, run: str) -> tuple[RunState, CompiledPlan, Path]:
        state = self.state_of(run)
        started = self.journal.events(run)[0]
        return state, self.plan_of(run), Path(str(started.data.get("base", ".")))

    @contextmanager
    def _owned(
        self, run: str, plan: CompiledPlan, graph: CompiledPlan, base: Path
    ) -> Iterator[tuple[OpenStores, Leases]]:
        """The graph's stores open and answering, its targets ours."""
        clock = self._hands.clock
        stores = OpenStores(plan.stores, base=base, state=self._state)
        leases = Leases(this_process(run), clock)
        try:
            open_and_ping(stores, stores_of((*plan.steps, *graph.steps)))
            leases.acquire(claims(plan, stores, StateLeases(self.journal, clock)))
            try:
                yield stores, leases
            finally:
                leases.release()
        finally:
            stores.close_all()

    def _take_over(self, run: str) -> int:
        token = self.journal.take_over(run, this_process(run))
        self._append(run, token, Phase.RESUMED, {})
        return token

    def _live(
        self, run: str, token: int, plan: CompiledPlan, base: Path, stores: OpenStores, leases: Leases
    ) -> RunState:
        """Forward, until it ends one way or the other."""
        self._prune(plan, stores)
        state = self.state_of(run)
        meter = Meter(self._hands.clock, _counts(state.steps))
        acted = [str(e.data["id"]) for e in self.journal.events(run) if e.phase is Phase.TRIGGER]
        watch = Watch(plan.triggers, meter, self._hands.clock, acted)
        around = self._surroundings(run, token, base, stores, leases)
        execution = Execution(plan, Graph.PLAN, around, state.steps, {}, watch, meter)
        execution.run()
        acting = [item for item in execution.fired if item.trigger.severity is not Severity.LOW]
        back = [
            item
            for item in acting
            if item.trigger.automated and item.trigger.severity in (Severity.HIGH, Severity.CRITICAL)
        ]
        if back:
            return self._fail(run, token, plan, base, stores, leases, back[0].words)
        if execution.failures:
            failed = execution.failures[0]
            reason = f"step '{failed}' failed: {execution.states[failed].error}"
            return self._fail(run, token, plan, base, stores, leases, reason)
        if execution.finished:
            return self._end(run, token, RunStatus.COMPLETED)
        if acting:
            return self._pause(run, token, f"{acting[0].words}; a person decides")
        if execution.interrupted:
            return self._pause(run, token, "interrupted")
        return self.state_of(run)

    def _fail(
        self,
        run: str,
        token: int,
        plan: CompiledPlan,
        base: Path,
        stores: OpenStores,
        leases: Leases,
        reason: str,
    ) -> RunState:
        """What a failure leads to: the rollback, or a halt that says what is uncertain."""
        if plan.policy.on_failure == "hold":
            return self._end(run, token, RunStatus.FAILED, reason)
        states = self.state_of(run).steps
        blocked = _beyond_return(plan, states)
        if blocked:
            return self._end(run, token, RunStatus.HALTED, f"{reason}; {blocked}")
        self._decide(run, token, derive(plan, states), reason)
        return self._go_back(run, token, plan, base, stores, leases)

    def _decide(self, run: str, token: int, graph: CompiledPlan, reason: str, *, asked: bool = False) -> None:
        self.journal.keep_graph(run, token, graph)
        decided: JsonObject = {"graph": graph.digest, "reason": reason, "asked": asked}
        self._append(run, token, Phase.DECIDED, decided)
        reach("rollback.decided")
        self._hands.observer.told(f"rolling back: {reason}")

    def _go_back(
        self, run: str, token: int, plan: CompiledPlan, base: Path, stores: OpenStores, leases: Leases
    ) -> RunState:
        """Run the rollback graph that was decided on, from where it stands."""
        state = self.state_of(run)
        assert state.rollback_digest is not None
        graph = self.journal.graph(state.rollback_digest)
        path = emit_graph(graph, run_folder(self._state, run), "rollback", self._hands.observer.told)
        self._hands.observer.told(f"the rollback graph is in {path}")
        around = self._surroundings(run, token, base, stores, leases)
        meter = Meter(self._hands.clock, {})
        execution = Execution(graph, Graph.ROLLBACK, around, state.rollback, state.steps, None, meter)
        execution.run()
        if execution.interrupted and not execution.finished:
            return self._pause(run, token, "interrupted while rolling back")
        critical = [f for f in execution.failures if graph.step(f).critical]
        if critical:
            first = critical[0]
            return self._end(
                run, token, RunStatus.ROLLBACK_FAILED, f"'{first}' failed: {execution.states[first].error}"
            )
        if not execution.finished:
            return self.state_of(run)
        if _warnings(execution.states):
            return self._end(run, token, RunStatus.ROLLED_BACK_WITH_WARNINGS)
        ended = self._end(run, token, RunStatus.ROLLED_BACK)
        self._forget(run, stores, stores_of(plan.steps))
        return ended

    def _surroundings(
        self, run: str, token: int, base: Path, stores: OpenStores, leases: Leases
    ) -> Surroundings:
        return Surroundings(
            run=run,
            token=token,
            base=base,
            state=self._state,
            folder=run_folder(self._state, run),
            journal=self.journal,
            stores=stores,
            runner_of=runner_of,
            clock=self._hands.clock,
            owned=leases.check,
            observer=self._hands.observer,
            stop_asked=self._hands.stop_asked,
            wait_for_people=self._hands.wait_for_people,
        )

    def _end(self, run: str, token: int, status: RunStatus, reason: str | None = None) -> RunState:
        reach("run.before-end")
        self._append(run, token, Phase.ENDED, {"status": status.value, "reason": reason})
        return self.state_of(run)

    def _pause(self, run: str, token: int, reason: str) -> RunState:
        self._append(run, token, Phase.PAUSED, {"reason": reason})
        return self.state_of(run)

    def _append(
        self,
        run: str,
        token: int,
        phase: Phase,
        data: JsonObject,
        step: str = "",
        graph: Graph = Graph.PLAN,
    ) -> None:
        event = Event(phase=phase, at=self._now(), step=step, graph=graph, data=data)
        self.journal.append(run, token, event)

    def _now(self) -> float:
        return self._hands.clock.now()

    def _prune(self, plan: CompiledPlan, stores: OpenStores) -> None:
        """Forget before-images and backups of ended runs of this plan that are older than its retention."""
        names = stores_of(plan.steps)
        for row in self.journal.runs():
            if row.name != plan.name or self._now() - row.created < plan.policy.retention:
                continue
            if self.state_of(row.run).status in FINAL:
                self._forget(row.run, stores, names)
                shutil.rmtree(backups_folder(self._state, row.run), ignore_errors=True)

    def _forget(self, run: str, stores: OpenStores, names: Sequence[str]) -> None:
        self.journal.drop_undo(run)
        for name in names:
            stores.open(name).drop_undo(run)


def _counts(states: Mapping[str, StepState]) -> dict[str, Counts]:
    return {key: state.counts for key, state in states.items() if state.counts is not None}


def _beyond_return(plan: CompiledPlan, states: Mapping[str, StepState]) -> str:
    """Why no automatic way back exists from here; empty if one does."""
    what = touched(plan, states)
    if what.pivots:
        return f"the pivot '{what.pivots[0]}' has passed, so that only a partial rollback is left"
    replaced = {step for item in plan.rollback.procedures for step in item.undoes}
    stuck = [s.id for s in plan.steps if s.id in what.steps - replaced and s.inverse is None]
    return f"no inverse is known for: {', '.join(stuck)}" if stuck else ""


def _warnings(states: Mapping[str, StepState]) -> list[str]:
    """The rollback's nodes that ended with something left over: failures that were not critical, skips by
    a person, and writes by others that were left alone."""
    return [
        key
        for key, state in states.items()
        if state.status is StepStatus.FAILED
        or state.result.get("changedSince")
        or "skippedBecause" in state.result
    ]
