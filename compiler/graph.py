"""The graph itself: order, cycles and schedules. It knows nothing of migrations."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx

Pair = tuple[str, str]


class CycleFound(ValueError):
    """The edges go round. ``path`` lists the nodes of one cycle, the first one not repeated."""

    def __init__(self, path: Sequence[str]) -> None:
        super().__init__(" → ".join([*path, path[0]]))
        self.path = tuple(path)


def digraph(nodes: Iterable[str], edges: Iterable[Pair]) -> networkx.DiGraph[str]:
    """A networkx DAG (or not yet one) of the nodes, in the order given, and the edges."""
    import networkx

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    return graph


def topological_order(nodes: Sequence[str], edges: Iterable[Pair]) -> list[str]:
    """The nodes so that every edge points forward; among those that could come next, the one that stands
    first in ``nodes``. Raises CycleFound.

    >>> topological_order(["a", "b", "c"], [("c", "a")])
    ['b', 'c', 'a']
    """
    import networkx

    graph = digraph(nodes, edges)
    rank = {node: i for i, node in enumerate(nodes)}
    try:
        return list(networkx.lexicographical_topological_sort(graph, key=rank.__getitem__))
    except networkx.NetworkXUnfeasible:
        cycle = networkx.find_cycle(graph)
        raise CycleFound([str(edge[0]) for edge in cycle]) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a node starts and ends in a schedule, and how late it may end. In the durations' unit."""

    start: float
    end: float
    slack: float


def critical_path(
    order: Sequence[str], edges: Sequence[Pair], durations: Mapping[str, float]
) -> tuple[tuple[str, ...], dict[str, float]]:
    """The longest chain, and every node's slack against it (critical path method, no limit on how many
    run at once). ``order`` is topological."""
    before, after = _neighbours(order, edges)
    finish: dict[str, float] = {}
    came_from: dict[str, str | None] = {}
    for node in order:
        best = max(before[node], key=lambda item: finish[item], default=None)
        came_from[node] = best
        finish[node] = durations[node] + (finish[best] if best is not None else 0.0)
    total = max(finish.values(), default=0.0)
    latest: dict[str, float] = {}
    for node in reversed(order):
        latest[node] = min((latest[item] - durations[item] for item in after[node]), default=total)
    path: list[str] = []
    last = max(order, key=lambda item: finish[item], default=None)
    while last is not None:
        path.append(last)
        last = came_from[last]
    return tuple(reversed(path)), {node: latest[node] - finish[node] for node in order}


def makespan(
    order: Sequence[str],
    edges: Sequence[Pair],
    durations: Mapping[str, float],
    *,
    limit: int,
    resources: Mapping[str, Sequence[str]],
) -> dict[str, tuple[float, float]]:
    """(start, end) of every node if at most ``limit`` run at once and none that share an exclusive
    resource, each started as soon as it may, in ``order``. Nodes without a duration need no slot."""
    before, after = _neighbours(order, edges)
    rank = {node: i for i, node in enumerate(order)}
    missing = {node: len(before[node]) for node in order}
    free = [rank[node] for node in order if not missing[node]]
    heapq.heapify(free)
    held: set[str] = set()
    running: list[tuple[float, int]] = []
    times: dict[str, tuple[float, float]] = {}
    now, busy = 0.0, 0
    while free or running:
        kept: list[int] = []
        while free:
            index = heapq.heappop(free)
            node = order[index]
            slot = durations[node] > 0
            if (slot and busy >= limit) or held.intersection(resources.get(node, ())):
                kept.append(index)
                if slot and busy >= limit:
                    break
                continue
            held.update(resources.get(node, ()))
            busy += slot
            times[node] = (now, now + durations[node])
            heapq.heappush(running, (now + durations[node], index))
        for index in kept:
            heapq.heappush(free, index)
        now, index = heapq.heappop(running)
        ended = [index]
        while running and running[0][0] == now:
            ended.append(heapq.heappop(running)[1])
        for index in ended:
            node = order[index]
            held.difference_update(resources.get(node, ()))
            busy -= durations[node] > 0
            for item in after[node]:
                missing[item] -= 1
                if not missing[item]:
                    heapq.heappush(free, rank[item])
    return times


def _neighbours(
    order: Sequence[str], edges: Sequence[Pair]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    before: dict[str, list[str]] = {node: [] for node in order}
    after: dict[str, list[str]] = {node: [] for node in order}
    for first, second in edges:
        before[second].append(first)
        after[first].append(second)
    return before, after
