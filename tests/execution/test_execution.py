"""The run loop with a real journal and runners that fail on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compiler.model.codec import seal
from compiler.model.plan import (
    FORMAT,
    CompiledPlan,
    Edge,
    Guard,
    JsonObject,
    PlanKind,
    Policy,
    Retry,
    Step,
    StoreSpec,
    Verb,
    Verdict,
)
from compiler.model.run import Counts, StepState, StepStatus
from executor.clock import SystemClock
from executor.contract import (
    Context,
    LeaseLost,
    Outcome,
    Runner,
    StepFailed,
    StepTransient,
    Waiting,
)
from executor.execution import Execution, Stop, Surroundings
from executor.journal.events import Event, Graph, Phase
from executor.journal.fold import fold
from executor.journal.sqlite import SqliteJournal
from executor.triggers.watch import Meter


class Scripted:
    """A runner that does what the test says, and remembers what was asked of it and what was journalled
    by then."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.journal = journal
        self.asked: list[tuple[str, str, int]] = []
        self.acts: dict[str, Callable[[Step, Context], Outcome | Waiting]] = {}
        self.verdicts: dict[str, Verdict] = {}

    def prepare(self, step: Step, context: Context) -> JsonObject:
        return {"before": f"{step.id} attempt {context.attempt}"}

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Outcome | Waiting:
        last = self.journal.events(context.run)[-1]
        assert (last.phase, last.step, last.attempt) == (Phase.INTENT, step.id, context.attempt)
        self.asked.append(("run", step.id, context.attempt))
        act = self.acts.get(step.id)
        return act(step, context) if act else Outcome()

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:
        self.asked.append(("probe", step.id, context.attempt))
        return self.verdicts.get(step.id, Verdict.UNKNOWN)

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:
        self.asked.append(("undo", step.id, context.attempt))
        return Outcome(result={"from": prepared})


class NoStores:
    """No step here has a store."""

    def spec(self, name: str) -> StoreSpec:
        raise KeyError(name)

    def open(self, name: str) -> object:
        raise KeyError(name)


class Silent:
    """Nobody watches."""

    def changed(self, step: Step, state: StepState) -> None: ...

    def progressed(self, step: Step, counts: Counts) -> None: ...

    def stopped(self, step: Step) -> None: ...

    def told(self, text: str) -> None: ...


class Bench:
    """A run of a plan that can be interrupted and begun again."""

    def __init__(self, folder: Path, steps: list[Step], edges: list[tuple[str, str]]) -> None:
        self.folder = folder
        self.plan = seal(
            CompiledPlan(
                name="p",
                kind=PlanKind.PLAN,
                format=FORMAT,
                steps=tuple(steps),
                edges=tuple(sorted(Edge(before=a, after=b) for a, b in edges)),
                policy=Policy(max_parallel=2),
            )
        )
        self.journal = SqliteJournal(folder / "journal.db")
        self.token = self.journal.create("r", self.plan, {}, Event(phase=Phase.STARTED, at=0.0))
        self.runner = Scripted(self.journal)
        self.stop = Stop.NO
        self.owned: Callable[[], None] = lambda: None

    def states(self, which: Graph = Graph.PLAN) -> dict[str, StepState]:
        """The journal's fold."""
        state = fold(self.journal.row("r"), self.journal.events("r"))
        return dict(state.steps if which is Graph.PLAN else state.rollback)

    def go(self, graph: CompiledPlan | None = None) -> Execution:
        """Run from where the journal stands."""
        clock = SystemClock()
        which = Graph.PLAN if graph is None else Graph.ROLLBACK
        runner: Runner = self.runner
        around = Surroundings(
            run="r",
            token=self.token,
            base=self.folder,
            state=self.folder,
            folder=self.folder / "run",
            journal=self.journal,
            stores=NoStores(),
            runner_of=lambda kind: runner,
            clock=clock,
            owned=self.owned,
            observer=Silent(),
            stop_asked=lambda: self.stop,
        )
        execution = Execution(
            graph or self.plan, which, around, self.states(which), self.states(), None, Meter(clock, {})
        )
        execution.run()
        assert execution.states == self.states(which), "memory and journal agree"
        return execution


def quick(step_id: str, **fields: object) -> Step:
    """A step whose retries do not wait."""
    return replace(Step(id=step_id, kind="x", retry=Retry(attempts=3, delay=0.0)), **fields)  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Benches that are closed in the end."""
    made: list[Bench] = []

    def make(steps: list[Step], edges: list[tuple[str, str]] | None = None) -> Bench:
        made.append(Bench(tmp_path, steps, edges or []))
        return made[-1]

    yield make
    for item in made:
        item.journal.close()


def failing(*errors: Exception) -> Callable[[Step, Context], Outcome]:
    """An act that raises these, one a call, and then succeeds."""
    left = list(errors)

    def act(step: Step, context: Context) -> Outcome:
        if left:
            raise left.pop(0)
        return Outcome()

    return act


Make = Callable[..., Bench]


def test_intent_comes_before_the_effect_and_outcome_after(bench: Make) -> None:
    """Every step's intent is in the journal before its runner acts (asserted there), its outcome after."""
    made = bench([quick("a"), quick("b")], [("a", "b")])
    execution = made.go()
    assert execution.finished
    assert [(e.phase, e.step) for e in made.journal.events("r")] == [
        (Phase.STARTED, ""),
        (Phase.INTENT, "a"),
        (Phase.OUTCOME, "a"),
        (Phase.INTENT, "b"),
        (Phase.OUTCOME, "b"),
    ]


def test_a_transient_failure_is_probed_and_tried_again(bench: Make) -> None:
    """It is not run again before it is known that it may be."""
    made = bench([quick("a")])
    made.runner.acts["a"] = failing(StepTransient("try later"))
    made.runner.verdicts["a"] = Verdict.ABSENT
    assert made.go().finished
    assert made.runner.asked == [("run", "a", 1), ("probe", "a", 2), ("run", "a", 2)]
    assert made.states()["a"].prepared == {"before": "a attempt 1"}


def test_a_transient_failure_that_took_effect_is_not_run_again(bench: Make) -> None:
    """A lost answer is found out by the probe."""
    made = bench([quick("a")])
    made.runner.acts["a"] = failing(StepTransient("the answer was lost"))
    made.runner.verdicts["a"] = Verdict.APPLIED
    assert made.go().finished
    assert [what for what, _, _ in made.runner.asked] == ["run", "probe"]


@pytest.mark.parametrize("idempotent", [False, True])
def test_what_nobody_knows_is_not_run_again(bench: Make, idempotent: bool) -> None:
    """Unknown stops the step, unless the step says that it may be run again."""
    made = bench([quick("a", idempotent=idempotent)])
    made.runner.acts["a"] = failing(StepTransient("gone"))
    execution = made.go()
    assert (("run", "a", 2) in made.runner.asked) is idempotent
    assert execution.finished is idempotent
    assert ("in doubt" in (made.states()["a"].error or "")) is not idempotent


def test_retries_end(bench: Make) -> None:
    """After its attempts a transient failure is a failure."""
    made = bench([quick("a", idempotent=True)])
    made.runner.acts["a"] = failing(*[StepTransient(f"no {i}") for i in range(9)])
    assert made.go().failures == ["a"]
    assert sum(what == "run" for what, _, _ in made.runner.asked) == 3
    assert made.states()["a"].error == "no 2"


def test_a_failed_step_is_run_again_when_a_person_resumes(bench: Make) -> None:
    """Its outcome is known, unlike that of a step that was killed."""
    made = bench([quick("a")])
    made.runner.acts["a"] = failing(StepFailed("no"))
    assert made.go().failures == ["a"]
    assert made.go().finished


@pytest.mark.parametrize("error", [StepFailed("no"), ValueError("a fault of a function")])
def test_a_failure_is_not_tried_again_and_starts_nothing_new(bench: Make, error: Exception) -> None:
    """What is not known to be transient stops the step at once, and what comes after never starts."""
    made = bench([quick("a"), quick("b")], [("a", "b")])
    made.runner.acts["a"] = failing(error)
    execution = made.go()
    assert execution.failures == ["a"]
    assert not execution.finished
    assert made.runner.asked == [("run", "a", 1)]
    assert "b" not in made.states()


def test_a_step_in_doubt_after_a_crash(bench: Make) -> None:
    """An intent without outcome is probed: applied is done, absent and resumable run again."""
    made = bench([quick("a"), quick("b"), quick("c")])
    for step in "abc":
        made.journal.append(
            "r", made.token, Event(phase=Phase.INTENT, at=1.0, step=step, attempt=1, data={"prepared": {}})
        )
    made.runner.verdicts = {"a": Verdict.APPLIED, "b": Verdict.ABSENT, "c": Verdict.RESUMABLE}
    assert made.go().finished
    assert sorted(item for item in made.runner.asked if item[0] == "run") == [
        ("run", "b", 2),
        ("run", "c", 2),
    ]


def test_a_checkpoint_is_handed_back(bench: Make) -> None:
    """A step that is resumed gets its last cursor and counts."""
    made = bench([quick("a", idempotent=True)])

    def half(step: Step, context: Context) -> Outcome:
        assert context.checkpoint is None
        context.journal.checkpoint({"after": 1}, Counts(read=1, written=1))
        context.journal.checkpoint({"after": 2}, Counts(read=2, written=2))
        made.runner.acts["a"] = rest
        raise StepTransient("connection lost")

    def rest(step: Step, context: Context) -> Outcome:
        assert context.checkpoint == {"after": 2}
        assert context.counts == Counts(read=2, written=2)
        return Outcome(counts=Counts(read=3, written=3))

    made.runner.acts["a"] = half
    assert made.go().finished
    assert made.states()["a"].counts == Counts(read=3, written=3)


def test_a_manual_step_blocks_only_what_follows(bench: Make) -> None:
    """Others go on; when it is confirmed, the rest runs and the manual step does not."""
    made = bench([quick("m"), quick("after"), quick("other")], [("m", "after")])
    made.runner.acts["m"] = lambda step, context: Waiting(instructions="pull the lever")
    execution = made.go()
    assert execution.waiting == ["m"]
    assert made.states()["other"].status is StepStatus.DONE
    assert "after" not in made.states()
    made.journal.confirm("r", Event(phase=Phase.CONFIRMED, at=9.0, step="m", data={"confirmedBy": "ada"}))
    assert made.go().finished
    assert [item for item in made.runner.asked if item[1] == "m"] == [("run", "m", 1)]


def test_a_lost_lease_ends_everything_without_a_word(bench: Make) -> None:
    """A run that was taken over journals nothing more and raises."""
    made = bench([quick("a"), quick("b")], [("a", "b")])

    def taken(step: Step, context: Context) -> Outcome:
        made.journal.take_over("r", {})
        return Outcome()

    made.runner.acts["a"] = taken
    with pytest.raises(LeaseLost):
        made.go()
    assert [e.phase for e in made.journal.events("r")] == [Phase.STARTED, Phase.INTENT]


def test_a_timeout_is_a_failure(bench: Make) -> None:
    """A step that asks to proceed after its time is over has failed."""
    made = bench([quick("a", timeout=0.0)])

    def slow(step: Step, context: Context) -> Outcome:
        while True:
            context.proceed()

    made.runner.acts["a"] = slow
    assert made.go().failures == ["a"]
    assert "timeout" in (made.states()["a"].error or "")


def test_a_drain_lets_steps_end_that_cannot_be_stopped(bench: Make) -> None:
    """An interruptible step stops at its next safe place and stays in doubt; another one ends."""
    made = bench([quick("stoppable", interruptible=True), quick("not")])

    def until_stopped(step: Step, context: Context) -> Outcome:
        made.stop = Stop.DRAIN
        while True:
            context.proceed()

    def ends(step: Step, context: Context) -> Outcome:
        while made.stop is Stop.NO:
            pass
        context.proceed()
        return Outcome()

    made.runner.acts = {"stoppable": until_stopped, "not": ends}
    execution = made.go()
    assert execution.interrupted
    assert execution.failures == []
    assert made.states()["stoppable"].status is StepStatus.INTENDED
    assert made.states()["not"].status is StepStatus.DONE


def rollback_of(*steps: Step, edges: list[tuple[str, str]] | None = None) -> CompiledPlan:
    """A sealed rollback graph."""
    return seal(
        CompiledPlan(
            name="p",
            kind=PlanKind.ROLLBACK,
            format=FORMAT,
            steps=steps,
            edges=tuple(Edge(before=a, after=b) for a, b in edges or []),
        )
    )


@pytest.mark.parametrize(
    ("verdict", "undone", "asked_by_hand"),
    [(Verdict.APPLIED, True, False), (Verdict.ABSENT, False, False), (Verdict.UNKNOWN, False, True)],
)
def test_guards(bench: Make, verdict: Verdict, undone: bool, asked_by_hand: bool) -> None:
    """An undo runs only if its probe found the step applied; a person is asked only if nobody knows."""
    made = bench([quick("a")])
    made.go()
    graph = rollback_of(
        quick("probe:a", verb=Verb.PROBE, undoes="a"),
        quick("undo:a", verb=Verb.UNDO, undoes="a", guard=Guard(step="probe:a", verdicts=(Verdict.APPLIED,))),
        quick("manual:a", guard=Guard(step="probe:a", verdicts=(Verdict.UNKNOWN,))),
        edges=[("probe:a", "undo:a"), ("undo:a", "manual:a")],
    )
    made.runner.verdicts["probe:a"] = verdict
    assert made.go(graph).finished
    assert ("undo" in {what for what, _, _ in made.runner.asked}) is undone
    assert (("run", "manual:a", 1) in made.runner.asked) is asked_by_hand


def test_an_undo_gets_what_its_step_had_prepared(bench: Make) -> None:
    """What was there before the step is what its inverse works from."""
    made = bench([quick("a")])
    made.go()
    made.go(rollback_of(quick("undo:a", verb=Verb.UNDO, undoes="a")))
    assert made.states(Graph.ROLLBACK)["undo:a"].result == {"from": {"before": "a attempt 1"}}


def test_a_failure_that_is_not_critical_lets_the_way_back_go_on(bench: Make) -> None:
    """It is recorded; a critical one blocks what depends on it and lets the rest end."""
    made = bench([quick("a")])
    graph = rollback_of(
        quick("soft", critical=False),
        quick("hard"),
        quick("after-soft"),
        quick("after-hard"),
        edges=[("soft", "after-soft"), ("hard", "after-hard")],
    )
    made.runner.acts = {"soft": failing(StepFailed("s")), "hard": failing(StepFailed("h"))}
    execution = made.go(graph)
    states = made.states(Graph.ROLLBACK)
    assert sorted(execution.failures) == ["hard", "soft"]
    assert states["after-soft"].status is StepStatus.DONE
    assert "after-hard" not in states
    assert not execution.finished
