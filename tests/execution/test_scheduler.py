"""The frontier: what may start, and what a failure blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from compiler.model.plan import FORMAT, CompiledPlan, Edge, PlanKind, Step, Verb
from compiler.model.run import StepState, StepStatus
from executor.scheduler import Frontier


def plan_of(steps: list[Step], edges: list[tuple[str, str]], kind: PlanKind = PlanKind.PLAN) -> CompiledPlan:
    """A plan of steps that are in topological order."""
    return CompiledPlan(
        name="p",
        kind=kind,
        format=FORMAT,
        steps=tuple(steps),
        edges=tuple(Edge(before=a, after=b) for a, b in edges),
    )


def named(*ids: str) -> list[Step]:
    """Steps of these ids; those in capitals are barriers."""
    return [Step(id=i, kind="x", verb=Verb.BARRIER if i.isupper() else Verb.RUN) for i in ids]


def test_a_barrier_ends_by_itself() -> None:
    """Steps behind a barrier start when the last one before it has ended."""
    frontier = Frontier(plan_of(named("a", "b", "B", "c"), [("a", "B"), ("b", "B"), ("B", "c")]), {})
    assert [step.id for step in frontier.take(9)] == ["a", "b"]
    frontier.end("a", StepStatus.DONE)
    assert frontier.take(9) == []
    frontier.end("b", StepStatus.SKIPPED)
    assert [step.id for step in frontier.take(9)] == ["c"]
    frontier.end("c", StepStatus.DONE)
    assert frontier.done


def test_limits() -> None:
    """No more than the limit run at once, and never two with one exclusive resource."""
    steps = [Step(id=i, kind="x", resources=("gpu",) if i in "ab" else ()) for i in "abcd"]
    frontier = Frontier(plan_of(steps, []), {})
    assert [step.id for step in frontier.take(2)] == ["a", "c"]
    frontier.end("c", StepStatus.DONE)
    assert [step.id for step in frontier.take(2)] == ["d"]
    frontier.end("a", StepStatus.DONE)
    assert [step.id for step in frontier.take(2)] == ["b"]


def test_failures_block() -> None:
    """A failure blocks what comes after it, going forward and for critical nodes going back."""
    steps = [Step(id="a", kind="x", critical=False), Step(id="b", kind="x")]
    for kind, passes in ((PlanKind.PLAN, False), (PlanKind.ROLLBACK, True)):
        frontier = Frontier(plan_of(steps, [("a", "b")], kind), {})
        frontier.take(9)
        frontier.end("a", StepStatus.FAILED)
        assert bool(frontier.take(9)) is passes


@st.composite
def graphs(draw: st.DrawFn) -> CompiledPlan:
    """Random DAGs with barriers among them."""
    count = draw(st.integers(1, 12))
    steps = [
        Step(id=str(i), kind="x", verb=draw(st.sampled_from([Verb.RUN, Verb.RUN, Verb.BARRIER])))
        for i in range(count)
    ]
    pairs = [(str(a), str(b)) for b in range(count) for a in range(b)]
    return plan_of(steps, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else [])


@given(graphs(), st.integers(1, 4), st.data())
def test_every_order_is_kept(plan: CompiledPlan, limit: int, data: st.DataObject) -> None:
    """Whatever ends first, no step starts before all before it have ended, all of them run, and a run that
    is resumed in the middle goes on with the rest."""
    order: list[str] = []
    states: dict[str, StepState] = {}
    frontier = Frontier(plan, {})
    running: list[str] = []
    resumed = False
    while True:
        running += [step.id for step in frontier.take(limit)]
        assert len(running) <= limit
        if not running:
            break
        if not resumed and data.draw(st.booleans()):
            resumed, frontier, running = True, Frontier(plan, states), []
            continue
        chosen = data.draw(st.sampled_from(running))
        running.remove(chosen)
        frontier.end(chosen, StepStatus.DONE)
        states[chosen] = StepState(status=StepStatus.DONE)
        order.append(chosen)
    assert frontier.done
    real = {step.id for step in plan.steps if step.verb is Verb.RUN}
    assert sorted(order) == sorted(real)
    reach: dict[str, set[str]] = {step.id: set() for step in plan.steps}
    for step in reversed(plan.steps):
        for edge in plan.edges:
            if edge.before == step.id:
                reach[step.id] |= {edge.after} | reach[edge.after]
    for i, first in enumerate(order):
        assert not any(first in reach[later] for later in order[i + 1 :])
