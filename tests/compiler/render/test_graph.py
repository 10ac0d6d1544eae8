"""Graphs made smaller: what must be before what stays the same."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from compiler.model.plan import CompiledPlan
from compiler.render import graph

Dag = tuple[list[str], list[graph.Pair], set[str]]


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    """(nodes in topological order, edges, those of the nodes that are points)."""
    nodes = [f"s{number}" for number in range(draw(st.integers(1, 12)))]
    pairs = [(a, b) for place, a in enumerate(nodes) for b in nodes[place + 1 :]]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return nodes, edges, set(draw(st.lists(st.sampled_from(nodes), unique=True)))


def reachable(nodes: Sequence[str], edges: Sequence[graph.Pair]) -> set[graph.Pair]:
    beyond: dict[str, set[str]] = {node: set() for node in nodes}
    for node in reversed(nodes):
        for before, after in edges:
            if before == node:
                beyond[node] |= {after} | beyond[after]
    return {(node, after) for node in nodes for after in beyond[node]}


@given(dags())
def test_contraction_keeps_the_order(dag: Dag) -> None:
    """Without its points a graph orders the other nodes as before, and has no more edges."""
    nodes, edges, points = dag
    smaller = graph.contract(nodes, edges, points)
    kept = {(a, b) for a, b in reachable(nodes, edges) if not {a, b} & points}
    assert {(a, b) for a, b in reachable(nodes, smaller) if not {a, b} & points} == kept
    assert len(smaller) <= len(edges)


@given(dags())
def test_reduction_keeps_the_order(dag: Dag) -> None:
    """Without its needless edges a graph orders its nodes as before, and no edge can be spared."""
    nodes, edges, _ = dag
    smaller = graph.reduce(edges, frozenset())
    assert reachable(nodes, smaller) == reachable(nodes, edges)
    for edge in smaller:
        rest = [other for other in smaller if other != edge]
        assert reachable(nodes, rest) != reachable(nodes, edges)


def test_a_graph_with_a_cycle_is_drawn_as_it_is() -> None:
    """A cycle, which phases of a rollback may form, is left to the layout engine."""
    edges = [("a", "b"), ("b", "a"), ("b", "c")]
    assert graph.reduce(edges, frozenset()) == edges


def test_all_pairs_are_never_drawn() -> None:
    """Forty steps after forty others are eighty edges through one point."""
    left, right = [f"a{n}" for n in range(40)], [f"b{n}" for n in range(40)]
    edges = [(a, "p") for a in left] + [("p", b) for b in right]
    assert sorted(graph.contract([*left, "p", *right], edges, ["p"])) == sorted(edges)


def test_prerequisites_are_seen_through_barriers(five_steps: CompiledPlan) -> None:
    """A step behind a barrier waits for the steps before the barrier."""
    waits = graph.prerequisites(five_steps)
    assert waits["copy-notes"] == graph.Before(("load-legacy",), (("load-legacy", "create-content"),))
    assert waits["drop-legacy"] == graph.Before((), (("verify-notes",),))


def test_the_critical_path_leads_through_points() -> None:
    """The critical path is found where a barrier stands between two of its steps."""
    edges = [("a", "p"), ("b", "p"), ("p", "c"), ("p", "d")]
    assert graph.path_edges(["a", "d"], edges, frozenset("p")) == {("a", "p"), ("p", "d")}
