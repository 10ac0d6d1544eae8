"""One graph, forward or back, run until nothing more can be done.

The loop takes what the frontier offers, hands it to threads and journals what comes of it: the intent
before the first effect, the outcome after. It never adds, drops or reorders a node.
"""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from compiler.model.codec import canonical, digest_of, to_json
from compiler.model.plan import CompiledPlan, JsonObject, Step, Verb, Verdict
from compiler.model.run import Counts, StepState, StepStatus
from executor.clock import Clock
from executor.contract import (
    Context,
    FordwayError,
    LeaseLost,
    Runner,
    StepFailed,
    Stopped,
    Stores,
    Waiting,
)
from executor.crashpoints import reach
from executor.journal.events import Event, Graph, JournalStore, Phase
from executor.journal.fold import step_after
from executor.journal.writer import StepJournal
from executor.scheduler import Frontier
from executor.triggers.watch import Fired, Meter, Watch

TICK = 0.2
"""Seconds between two looks at triggers and at stop requests."""
LONGEST_DELAY = 60.0
"""Seconds that a retry waits at most."""


class Stop(IntEnum):
    """What steps are asked to do: go on, end at a safe place, or end now."""

    NO = 0
    DRAIN = 1
    CANCEL = 2


class Observer(Protocol):
    """Who watches a run: a display, or nobody."""

    def changed(self, step: Step, state: StepState) -> None:
        """A node has another status."""
        ...

    def progressed(self, step: Step, counts: Counts) -> None:
        """A data step has come further."""
        ...

    def stopped(self, step: Step) -> None:
        """A step has stopped at a safe place, as it was asked to."""
        ...

    def told(self, text: str) -> None:
        """Something worth a line."""
        ...


@dataclass(kw_only=True)
class Surroundings:
    """What an execution needs besides its graph: the same for both ways of one run."""

    run: str
    token: int
    base: Path
    state: Path
    folder: Path
    journal: JournalStore
    stores: Stores
    runner_of: Callable[[str], Runner]
    clock: Clock
    owned: Callable[[], None]
    """Raises LeaseLost if the run no longer owns its targets."""
    observer: Observer
    stop_asked: Callable[[], Stop] = lambda: Stop.NO
    wait_for_people: bool = False
    random: random.Random = field(default_factory=random.Random)


class Execution:
    """A graph being run. ``states`` is the journal's fold so far and is kept up to date;
    ``forward`` are the states of the plan's steps, which an undo needs."""

    def __init__(
        self,
        graph: CompiledPlan,
        which: Graph,
        around: Surroundings,
        states: Mapping[str, StepState],
        forward: Mapping[str, StepState],
        watch: Watch | None,
        meter: Meter,
    ) -> None:
        self.graph, self.which, self.states = graph, which, dict(states)
        self._around, self._forward, self._watch, self._meter = around, forward, watch, meter
        self._frontier = Frontier(graph, states)
        # Not SimpleQueue: its timed get may wait for ever when a signal meets it.
        self._ended: queue.Queue[tuple[Step, StepState | BaseException] | None] = queue.Queue()
        self._nudged = threading.Event()
        self._stop = Stop.NO
        self._lock = threading.Lock()
        self.fired: list[Fired] = []
        self.failures: list[str] = []
        self.interrupted = False

    def run(self) -> None:
        """Run until everything has ended, or nothing more can start. Raises LeaseLost; then nothing more
        was journalled."""
        lost: BaseException | None = None
        with ThreadPoolExecutor(self.graph.policy.max_parallel, thread_name_prefix="step") as pool:
            while True:
                if self._stop is Stop.NO and lost is None:
                    for step in self._frontier.take(self.graph.policy.max_parallel):
                        pool.submit(self._in_thread, step)
                if not self._frontier.running and not self._may_wait():
                    break
                try:
                    ended = self._ended.get(timeout=TICK)
                except queue.Empty:
                    ended = None
                if ended is None:
                    self._nudged.clear()
                    self._look()
                    continue
                step, result = ended
                if isinstance(result, StepState):
                    self._settle(step, result)
                else:
                    self._frontier.end(step.id, StepStatus.INTENDED)
                    lost, self._stop = lost or result, Stop.CANCEL
                self._look()
        if lost is not None:
            raise lost

    @property
    def finished(self) -> bool:
        """Whether every node has ended well (or was allowed to fail)."""
        return self._frontier.done

    @property
    def waiting(self) -> list[str]:
        """The manual nodes that wait for a person."""
        return [key for key, state in self.states.items() if state.status is StepStatus.WAITING]

    def _settle(self, step: Step, state: StepState) -> None:
        self._frontier.end(step.id, state.status)
        if state.status is StepStatus.FAILED:
            self.failures.append(step.id)
            if self.which is Graph.PLAN:
                self._ask(Stop.DRAIN)

    def _look(self) -> None:
        asked = self._around.stop_asked()
        if asked is not Stop.NO:
            self.interrupted = True
            self._ask(asked)
        for fired in self._watch.tick() if self._watch else ():
            self._tell(fired)
        if self._around.wait_for_people:
            self._hear_people()

    def _tell(self, fired: Fired) -> None:
        self.fired.append(fired)
        event = Event(phase=Phase.TRIGGER, at=self._around.clock.now(), data=fired.to_json())
        self._around.journal.append(self._around.run, self._around.token, event)
        self._around.observer.told(fired.words)
        stop = STOPS[fired.trigger.severity.value]
        if self.which is Graph.PLAN and stop is not Stop.NO:
            self._ask(stop)

    def _ask(self, stop: Stop) -> None:
        self._stop = max(self._stop, stop)

    def _may_wait(self) -> bool:
        return self._around.wait_for_people and self._stop is Stop.NO and bool(self.waiting)

    def _hear_people(self) -> None:
        waiting = set(self.waiting)
        if not waiting:
            return
        for event in self._around.journal.events(self._around.run):
            if event.phase is Phase.CONFIRMED and event.graph is self.which and event.step in waiting:
                self.states[event.step] = step_after(self.states[event.step], event)
                self._settle(self.graph.step(event.step), self.states[event.step])

    def _in_thread(self, step: Step) -> None:
        try:
            self._ended.put((step, self._perform(step)))
        except BaseException as error:  # noqa: BLE001 - handed to the loop, which raises it
            self._ended.put((step, error))

    def _perform(self, step: Step) -> StepState:
        if not self._passes_guard(step):
            return self._record(step, Phase.OUTCOME, {"status": "skipped"})
        before = self.states.get(step.id, StepState())
        if before.status is StepStatus.WAITING:
            return before
        runner = self._around.runner_of(step.kind)
        first = before.attempts + 1
        last = before.attempts + max(1, step.retry.attempts)
        in_doubt = before.status in (StepStatus.INTENDED, StepStatus.FAILED)
        attempt = first
        while True:
            state = self.states.get(step.id, StepState())
            try:
                settled = self._resolve(step, runner, state, attempt) if in_doubt else None
                return settled or self._attempt(step, runner, state, attempt)
            except Stopped:
                self._around.observer.stopped(step)
                return self.states.get(step.id, StepState())
            except FordwayError as error:
                if isinstance(error, LeaseLost):
                    raise
                if not error.transient or attempt >= last:
                    return self._fail(step, attempt, error)
                if self._stop is not Stop.NO:
                    return self.states.get(step.id, StepState())
                self._around.observer.told(f"{step.id}: {error.message}; trying again")
                self._pause(step.retry.delay * 2 ** (attempt - first))
            # A fault of ours or of a user's function stops the step, one that would end the process too.
            except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001
                return self._fail(step, attempt, _unexpected(error, step, self._around.folder))
            attempt, in_doubt = attempt + 1, step.id in self.states

    def _passes_guard(self, step: Step) -> bool:
        if step.guard is None:
            return True
        verdict = self.states[step.guard.step].verdict
        return verdict in step.guard.verdicts

    def _resolve(self, step: Step, runner: Runner, state: StepState, attempt: int) -> StepState | None:
        """A node whose outcome is not known: probe it. The end state if it needs no other attempt."""
        if step.verb is Verb.PROBE or state.verdict is Verdict.ABSENT or state.prepared is None:
            return None
        if step.verb is Verb.UNDO:
            return self._resolve_undo(step, runner, attempt)
        verdict = runner.probe(step, self._context(step, state, attempt), state.prepared)
        if verdict is Verdict.APPLIED:
            return self._record(
                step, Phase.OUTCOME, {"status": "done", "result": {"probed": verdict.value}}, attempt
            )
        # A step that failed has an outcome: whoever resumes the run wants it run again.
        if verdict is Verdict.UNKNOWN and not step.idempotent and state.status is not StepStatus.FAILED:
            raise StepFailed(
                f"step '{step.id}' is in doubt: it was begun, and whether it took effect cannot be found out",
                hint="look at what it does; 'idempotent: true' or a probe would let Fordway go on by itself",
            )
        return None

    def _resolve_undo(self, step: Step, runner: Runner, attempt: int) -> StepState | None:
        """An undo that was begun may be run again where it is safe when absent; else the step that it takes
        back is probed."""
        if step.params.get("safeWhenAbsent", True) is True:
            return None
        prepared = self._prepared_of(step.undoes or "") or {}
        verdict = runner.probe(step, self._context(step, self.states[step.id], attempt), prepared)
        if verdict is Verdict.ABSENT:
            return self._record(
                step, Phase.OUTCOME, {"status": "done", "result": {"probed": "taken back"}}, attempt
            )
        if verdict is Verdict.UNKNOWN:
            raise StepFailed(
                f"the inverse of '{step.undoes}' is in doubt: it was begun, and how far it came cannot be"
                " found out",
                hint="look, take it back by hand if need be, then: plan rollback RUN --continue --skip "
                f"{step.id} --reason TEXT",
            )
        return None

    def _attempt(self, step: Step, runner: Runner, state: StepState, attempt: int) -> StepState:
        context = self._context(step, state, attempt)
        context.proceed()
        if step.verb is Verb.RUN:
            prepared = state.prepared if state.prepared is not None else runner.prepare(step, context)
        else:
            prepared = self._prepared_of(step.undoes or "") or {}
        reach("step.before-intent")
        self._record(step, Phase.INTENT, {"prepared": prepared, "key": context.key}, attempt)
        reach("step.after-intent")
        if step.verb is Verb.PROBE:
            verdict = runner.probe(step, context, prepared)
            return self._record(step, Phase.OUTCOME, {"status": "done", "verdict": verdict.value}, attempt)
        act = runner.undo if step.verb is Verb.UNDO else runner.run
        outcome = act(step, context, prepared)
        if isinstance(outcome, Waiting):
            self._around.observer.told(f"{step.id} waits for a person: {outcome.instructions}")
            return self._record(step, Phase.WAITING, {"instructions": outcome.instructions}, attempt)
        reach("step.after-effect")
        data: dict[str, object] = {"status": "done", "result": outcome.result}
        if outcome.counts is not None:
            data["counts"] = to_json(outcome.counts)
            self._meter.update(step.id, outcome.counts)
        done = self._record(step, Phase.OUTCOME, _json(data), attempt)
        reach("step.after-outcome")
        return done

    def _fail(self, step: Step, attempt: int, error: FordwayError) -> StepState:
        text = error.message + (f" ({error.hint})" if error.hint else "")
        data: dict[str, object] = {"status": "failed", "error": text}
        if isinstance(error, StepFailed):
            data["verdict"] = error.verdict.value
        counts = self._meter.counts(step.id)
        if counts is not None and step.verb is Verb.RUN:
            data["counts"] = to_json(counts)
        return self._record(step, Phase.OUTCOME, _json(data), attempt)

    def _record(self, step: Step, phase: Phase, data: JsonObject, attempt: int = 0) -> StepState:
        event = Event(
            phase=phase,
            at=self._around.clock.now(),
            graph=self.which,
            step=step.id,
            attempt=attempt,
            data=data,
        )
        with self._lock:
            self._around.journal.append(self._around.run, self._around.token, event)
            state = step_after(self.states.get(step.id, StepState()), event)
            self.states[step.id] = state
        if phase is not Phase.CHECKPOINT:
            self._around.observer.changed(step, state)
        return state

    def _context(self, step: Step, state: StepState, attempt: int) -> Context:
        around = self._around
        deadline = None if step.timeout is None else around.clock.monotonic() + step.timeout

        def proceed() -> None:
            around.owned()
            if self._stop is Stop.CANCEL or (self._stop is Stop.DRAIN and step.interruptible):
                raise Stopped
            if deadline is not None and around.clock.monotonic() > deadline:
                raise StepFailed(f"step '{step.id}' took longer than its timeout of {step.timeout:g} s")

        def progressed(counts: Counts) -> None:
            self._meter.update(step.id, counts)
            around.observer.progressed(step, counts)
            # The triggers look at once, not at the next tick: much can be written in between.
            if not self._nudged.is_set():
                self._nudged.set()
                self._ended.put(None)

        return Context(
            run=around.run,
            key=effect_key(around.run, step, self.which),
            attempt=attempt,
            base=around.base,
            state=around.state,
            folder=around.folder,
            stores=around.stores,
            journal=StepJournal(
                around.journal,
                around.run,
                around.token,
                self.which,
                step.id,
                attempt,
                around.clock,
                self._kept,
            ),
            undo_log=lambda of: around.journal.undo_log(around.run, around.token, of),
            progress=progressed,
            proceed=proceed,
            prepared_of=self._prepared_of,
            counts_of=self._counts_of,
            is_dead=lambda of, key: around.journal.is_dead(around.run, of, key),
            checkpoint=state.checkpoint,
            counts=state.counts,
            verdicts={key: item.verdict for key, item in self.states.items() if item.verdict is not None},
        )

    def _kept(self, step_id: str, event: Event) -> None:
        with self._lock:
            self.states[step_id] = step_after(self.states.get(step_id, StepState()), event)

    def _prepared_of(self, step_id: str) -> JsonObject | None:
        states = self.states if self.which is Graph.PLAN else self._forward
        state = states.get(step_id)
        return state.prepared if state else None

    def _counts_of(self, step_id: str) -> Counts | None:
        if self.which is Graph.ROLLBACK:
            known = self._forward.get(step_id)
            return known.counts if known is not None else None
        state = self.states.get(step_id)
        return state.counts if state is not None and state.status is StepStatus.DONE else None

    def _pause(self, seconds: float) -> None:
        # Full jitter keeps retries of parallel steps apart; half of it keeps them from coming at once.
        wait = min(seconds, LONGEST_DELAY) * self._around.random.uniform(0.5, 1.0)
        until = self._around.clock.monotonic() + wait
        while self._stop is Stop.NO and (left := until - self._around.clock.monotonic()) > 0:
            self._around.clock.sleep(min(left, TICK))


STOPS: Mapping[str, Stop] = {
    "low": Stop.NO,
    "medium": Stop.DRAIN,
    "high": Stop.DRAIN,
    "critical": Stop.CANCEL,
}


def effect_key(run: str, step: Step, which: Graph) -> str:
    """The idempotency key of an effect: the same for every attempt, other for every run and direction."""
    return digest_of([run, step.id, which.value, step.verb.value, digest_of(to_json(step.params))])[7:39]


def _json(data: Mapping[str, object]) -> JsonObject:
    encoded = to_json(data)
    assert isinstance(encoded, Mapping)
    canonical(encoded)  # what cannot be journalled must fail here, before it is half written
    return encoded


def _unexpected(error: BaseException, step: Step, folder: Path) -> StepFailed:
    """A fault that is nobody's FordwayError: its traceback goes to a file, one line to the user."""
    import traceback

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"fault-{digest_of(step.id)[7:15]}.txt"
    path.write_text("".join(traceback.format_exception(error)))
    return StepFailed(
        f"step '{step.id}' failed unexpectedly: {type(error).__name__}: {error}",
        hint=f"this may be a fault of Fordway's own; details are in {path}",
    )
