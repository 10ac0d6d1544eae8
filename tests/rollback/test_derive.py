"""The rollback graph: its set, its order, and that the same state gives the same graph."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.graph import CycleFound
from compiler.model.plan import (
    FORMAT,
    Category,
    CompiledPlan,
    Edge,
    Inverse,
    PlanKind,
    Procedure,
    RollbackPlan,
    Step,
    Verb,
    Verdict,
)
from compiler.model.run import StepState, StepStatus
from compiler.rollback.derive import derive

SAFE = Inverse(summary="delete it", safe_when_absent=True)
PROBED = Inverse(summary="run undo")
NOTHING = Inverse(summary="nothing", nothing=True)

DONE = StepState(status=StepStatus.DONE)
FAILED = StepState(status=StepStatus.FAILED)
IN_DOUBT = StepState(status=StepStatus.INTENDED)


def step(step_id: str, inverse: Inverse | None = SAFE, **fields: object) -> Step:
    """A step with an inverse."""
    return replace(Step(id=step_id, kind="bulk", inverse=inverse), **fields)  # type: ignore[arg-type]


def plan(steps: list[Step], edges: list[tuple[str, str]], **fields: object) -> CompiledPlan:
    """A plan of steps in topological order."""
    made = CompiledPlan(
        name="p",
        kind=PlanKind.PLAN,
        format=FORMAT,
        steps=tuple(steps),
        edges=tuple(sorted(Edge(before=a, after=b) for a, b in edges)),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def before(graph: CompiledPlan, first: str, second: str) -> bool:
    """Whether ``first`` must end before ``second`` starts."""
    reach = {first}
    for node in graph.steps:  # topological order
        if any(edge.after == node.id and edge.before in reach for edge in graph.edges):
            reach.add(node.id)
    return second in reach and first != second


def nodes(graph: CompiledPlan) -> list[str]:
    """The nodes that do something."""
    return [item.id for item in graph.steps if item.verb is not Verb.BARRIER]


def test_the_set_is_what_was_intended() -> None:
    """Steps with an intent are taken back; untouched, skipped and proven unapplied ones are not."""
    made = plan([step(i) for i in "abcde"], [])
    states = {
        "a": DONE,
        "b": IN_DOUBT,
        "c": FAILED,
        "d": StepState(status=StepStatus.FAILED, verdict=Verdict.ABSENT),
        "e": StepState(status=StepStatus.SKIPPED),
    }
    assert sorted(nodes(derive(made, states))) == ["undo:a", "undo:b", "undo:c"]
    assert nodes(derive(made, {})) == []


def test_order_is_kept_through_steps_that_need_no_undo() -> None:
    """b has nothing to take back; c still goes back before a."""
    made = plan([step("a"), step("b", NOTHING), step("c")], [("a", "b"), ("b", "c")])
    graph = derive(made, {"a": DONE, "b": DONE, "c": FAILED})
    assert nodes(graph) == ["undo:c", "undo:a"]
    assert before(graph, "undo:c", "undo:a")


def test_doubt_is_probed() -> None:
    """A step in doubt whose inverse is not safe when absent gets a probe, an undo that needs it applied,
    and a manual node for when nobody knows; what came before it waits for all three."""
    made = plan([step("a"), step("b", PROBED)], [("a", "b")])
    graph = derive(made, {"a": DONE, "b": IN_DOUBT})
    assert nodes(graph) == ["probe:b", "undo:b", "manual:b", "undo:a"]
    undo, manual = graph.step("undo:b"), graph.step("manual:b")
    assert undo.guard is not None
    assert undo.guard.verdicts == (Verdict.APPLIED, Verdict.RESUMABLE)
    assert manual.guard is not None
    assert manual.guard.verdicts == (Verdict.UNKNOWN,)
    assert before(graph, "manual:b", "undo:a")


def test_a_failed_step_is_probed_where_it_can_be() -> None:
    """One that failed and says how to find out is probed; without a probe its inverse runs."""
    able = Inverse(summary="run undo", probed=True)
    assert nodes(derive(plan([step("a", able)], []), {"a": FAILED}))[0] == "probe:a"
    assert nodes(derive(plan([step("a", PROBED)], []), {"a": FAILED})) == ["undo:a"]


def test_a_done_step_needs_no_probe() -> None:
    """What the journal knows is not probed."""
    assert nodes(derive(plan([step("a", PROBED)], []), {"a": DONE})) == ["undo:a"]


def test_a_step_without_inverse_is_a_manual_node() -> None:
    """It holds back only what it came after."""
    made = plan([step("a"), step("b", None, irreversible="mail was sent"), step("c")], [("a", "b")])
    graph = derive(made, {"a": DONE, "b": DONE, "c": DONE})
    assert graph.step("manual:b").kind == "manual"
    assert "mail was sent" in str(graph.step("manual:b").params["instructions"])
    assert before(graph, "manual:b", "undo:a")
    assert not before(graph, "manual:b", "undo:c")


def test_a_pivot_that_passed_stays() -> None:
    """A completed pivot and all before it are final; what came after goes back."""
    made = plan([step("a"), step("b", pivot=True), step("c")], [("a", "b"), ("b", "c")])
    assert nodes(derive(made, {"a": DONE, "b": DONE, "c": FAILED})) == ["undo:c"]
    assert nodes(derive(made, {"a": DONE, "b": FAILED})) == ["undo:b", "undo:a"]


def procedure(name: str, category: Category, **fields: object) -> Procedure:
    """A procedure that people wrote."""
    made = Procedure(step=Step(id=f"procedure:{name}", kind="script", category=category))
    return replace(made, **fields)  # type: ignore[arg-type]


def test_categories_and_order() -> None:
    """Traffic first, then data, configuration, infrastructure; within one by ``order``; checks last."""
    made = plan(
        [step("a"), step("b")],
        [],
        rollback=RollbackPlan(
            procedures=(
                procedure("infra", Category.INFRASTRUCTURE),
                procedure("config-2", Category.CONFIGURATION, order=2),
                procedure("config-1", Category.CONFIGURATION, order=1),
                procedure("traffic", Category.TRAFFIC),
            ),
            checks=(Step(id="check:x", kind="verify", category=Category.CHECK),),
        ),
    )
    graph = derive(made, {"a": DONE, "b": DONE})
    wanted = ["procedure:traffic", "undo:a", "procedure:config-1", "procedure:config-2", "procedure:infra"]
    for first, second in zip(wanted, [*wanted[1:], "check:x"], strict=True):
        assert before(graph, first, second), (first, second)
    assert before(graph, "procedure:traffic", "undo:b")
    assert nodes(graph)[-1] == "check:x"


def test_a_procedure_replaces_an_inverse() -> None:
    """A procedure that undoes a step stands in its place, and only if that step is in the set."""
    made = plan(
        [step("a"), step("b", None), step("c")],
        [("a", "b"), ("b", "c")],
        rollback=RollbackPlan(procedures=(procedure("x", Category.DATA, undoes=("b",)),)),
    )
    graph = derive(made, {"a": DONE, "b": DONE, "c": DONE})
    assert nodes(graph) == ["undo:c", "procedure:x", "undo:a"]
    assert nodes(derive(made, {"a": DONE})) == ["undo:a"]


def test_traffic_yields_where_data_came_after_it() -> None:
    """Data that was written after the traffic shift goes back before it: the plan's order is stronger."""
    made = plan(
        [step("data-1"), step("shift", category=Category.TRAFFIC), step("data-2"), step("free")],
        [("data-1", "shift"), ("shift", "data-2")],
    )
    graph = derive(made, dict.fromkeys(["data-1", "shift", "data-2", "free"], DONE))
    assert before(graph, "undo:data-2", "undo:shift")
    assert before(graph, "undo:shift", "undo:data-1")
    assert before(graph, "undo:shift", "undo:free")


def test_contradictions_are_a_cycle() -> None:
    """Procedures whose dependencies contradict the plan's order cannot be ordered."""
    made = plan(
        [step("a"), step("b")],
        [("a", "b")],
        rollback=RollbackPlan(
            procedures=(
                procedure("a", Category.DATA, undoes=("a",)),
                procedure("b", Category.DATA, undoes=("b",), dependencies=("procedure:a",)),
            )
        ),
    )
    with pytest.raises(CycleFound):
        derive(made, {"a": DONE, "b": DONE})


@st.composite
def runs(draw: st.DrawFn) -> tuple[CompiledPlan, dict[str, StepState]]:
    """Random plans with the state of a run that may have been killed anywhere."""
    count = draw(st.integers(1, 10))
    inverses = st.sampled_from([SAFE, SAFE, PROBED, NOTHING, None])
    steps = []
    for i in range(count):
        if draw(st.integers(0, 4)) == 0:
            steps.append(Step(id=f"B{i}", kind="barrier", verb=Verb.BARRIER))
        else:
            category = draw(st.sampled_from([Category.DATA, Category.DATA, Category.TRAFFIC]))
            steps.append(step(f"s{i}", draw(inverses), category=category))
    pairs = [(a.id, b.id) for j, b in enumerate(steps) for a in steps[:j]]
    made = plan(steps, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else [])
    some = st.sampled_from([DONE, IN_DOUBT, FAILED, StepState(), StepState(status=StepStatus.WAITING)])
    return made, {s.id: draw(some) for s in steps if s.verb is Verb.RUN and draw(st.booleans())}


@given(runs())
def test_every_state_has_a_way_back(run: tuple[CompiledPlan, dict[str, StepState]]) -> None:
    """Whatever the state: the graph is acyclic, complete, deterministic, and reverses the plan's order
    over the transitive closure."""
    made, states = run
    graph = derive(made, states)
    assert derive(made, dict(reversed(states.items()))) == graph
    touched = {
        s.id
        for s in made.steps
        if s.verb is Verb.RUN
        and states.get(s.id, StepState()).status is not StepStatus.PENDING
        and not (s.inverse is not None and s.inverse.nothing)
    }
    assert {node.undoes for node in graph.steps if node.undoes} == touched
    seen: set[str] = set()
    for node in graph.steps:
        assert all(edge.before in seen for edge in graph.edges if edge.after == node.id)
        seen.add(node.id)
    last = {s: f"manual:{s}" if f"manual:{s}" in seen else f"undo:{s}" for s in touched}
    first = {s: next(n for n in (f"probe:{s}", f"undo:{s}", f"manual:{s}") if n in seen) for s in touched}
    reach: dict[str, set[str]] = {s.id: set() for s in made.steps}
    for s in reversed(made.steps):
        for edge in made.edges:
            if edge.before == s.id:
                reach[s.id] |= {edge.after} | reach[edge.after]
    for a in touched:
        for b in touched & reach[a]:
            assert before(graph, last[b], first[a]), (a, b)


def test_a_wide_plan_has_a_narrow_way_back() -> None:
    """Two phases of many steps joined by a barrier do not become all pairs."""
    count = 200
    left = [step(f"a{i}") for i in range(count)]
    right = [step(f"b{i}") for i in range(count)]
    barrier = Step(id="B", kind="barrier", verb=Verb.BARRIER)
    edges = [(s.id, "B") for s in left] + [("B", s.id) for s in right]
    made = plan([*left, barrier, *right], edges)
    graph = derive(made, {s.id: DONE for s in [*left, *right]})
    assert len(graph.edges) == 2 * count
