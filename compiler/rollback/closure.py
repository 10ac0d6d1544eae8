"""Order among some nodes of a graph, kept through the nodes between them. Linear in nodes plus edges."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from compiler.model.plan import CompiledPlan, Edge


@dataclass(slots=True)
class Adjacency:
    """A graph that can be walked and cut both ways."""

    after: dict[str, set[str]] = field(default_factory=dict)
    before: dict[str, set[str]] = field(default_factory=dict)

    def join(self, first: str, second: str) -> None:
        """Add an edge and its ends."""
        for node in (first, second):
            self.after.setdefault(node, set())
            self.before.setdefault(node, set())
        self.after[first].add(second)
        self.before[second].add(first)

    def cut(self, node: str) -> None:
        """Take a node out; what led to it now leads to what it led to."""
        befores, afters = self.before.pop(node), self.after.pop(node)
        for item in befores:
            self.after[item].discard(node)
        for item in afters:
            self.before[item].discard(node)
        for first in befores:
            for second in afters:
                self.join(first, second)


def ancestors(edges: Iterable[Edge], of: Iterable[str]) -> set[str]:
    """Every node from which one of ``of`` can be reached, without those themselves unless reached."""
    before: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        before[edge.after].append(edge.before)
    return _reach(before, of)


def _reach(graph: dict[str, list[str]], start: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    queue = deque(start)
    while queue:
        for item in graph.get(queue.popleft(), ()):
            if item not in seen:
                seen.add(item)
                queue.append(item)
    return seen


def reversed_between(plan: CompiledPlan, chosen: Set[str]) -> Adjacency:
    """The plan's edges, reversed, as far as they lie on a path from one chosen node to another."""
    before: dict[str, list[str]] = defaultdict(list)
    after: dict[str, list[str]] = defaultdict(list)
    for edge in plan.edges:
        before[edge.after].append(edge.before)
        after[edge.before].append(edge.after)
    downstream = _reach(after, chosen) | set(chosen)
    upstream = _reach(before, chosen) | set(chosen)
    graph = Adjacency()
    for edge in plan.edges:
        if edge.before in downstream and edge.after in upstream:
            graph.join(edge.after, edge.before)
    return graph


def contracted(graph: Adjacency, chosen: Set[str]) -> Adjacency:
    """The graph without the nodes that were not chosen, as long as taking one out adds no edges; the
    rest of them stay, as barriers."""
    queue = deque(sorted(node for node in graph.after if node not in chosen))
    while queue:
        node = queue.popleft()
        if node not in graph.after:
            continue
        befores, afters = graph.before[node], graph.after[node]
        if len(befores) * len(afters) <= len(befores) + len(afters):
            near = sorted((befores | afters) - chosen)
            graph.cut(node)
            queue.extend(near)
    return graph
