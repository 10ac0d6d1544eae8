"""A plan's graph made smaller for people: barriers folded away, edges that say nothing new left out.

These are functions of plain ids and pairs; they know nothing of the formats.
"""

from __future__ import annotations

import graphlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compiler.model.plan import CompiledPlan, Verb

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Before:
    """What a step waits for: ``steps`` by name, and behind each barrier all the steps of one of
    ``joins``. A join is one tuple for all the steps behind its barrier, so that n steps that wait for
    n others cost 2n and not n²."""

    steps: tuple[str, ...]
    joins: tuple[tuple[str, ...], ...]


def edges_of(plan: CompiledPlan) -> list[Pair]:
    """The edges in order. An end that is no step of the plan cannot be drawn and is left out."""
    known = {step.id for step in plan.steps}
    return [(edge.before, edge.after) for edge in plan.edges if {edge.before, edge.after} <= known]


def prerequisites(plan: CompiledPlan) -> dict[str, Before]:
    """Of every step that is no barrier, what it waits for, seen through the barriers."""
    barriers = {step.id for step in plan.steps if step.verb is Verb.BARRIER}
    into: dict[str, list[str]] = {step.id: [] for step in plan.steps}
    for before, after in edges_of(plan):
        into[after].append(before)
    position = {step.id: place for place, step in enumerate(plan.steps)}
    behind: dict[str, tuple[str, ...]] = {}
    waits: dict[str, Before] = {}
    for step in plan.steps:  # in topological order: a barrier's sources are known when it is needed
        ahead = into[step.id]
        named = [item for item in ahead if item not in barriers]
        joins = [behind.get(item, ()) for item in ahead if item in barriers]
        if step.id in barriers:
            seen = set(named).union(*joins)
            behind[step.id] = tuple(sorted(seen, key=position.__getitem__))
        else:
            named.sort(key=position.__getitem__)
            waits[step.id] = Before(tuple(named), tuple(join for join in joins if join))
    return waits


def contract(nodes: Sequence[str], edges: Iterable[Pair], points: Iterable[str]) -> list[Pair]:
    """The edges without those of ``points`` that cost no edge to join up: n sources and m targets are
    drawn as n x m arrows only where that is not more than n + m. Order: that of ``nodes``."""
    into: dict[str, set[str]] = {node: set() for node in nodes}
    out: dict[str, set[str]] = {node: set() for node in nodes}
    for before, after in edges:
        if before != after:
            out[before].add(after)
            into[after].add(before)
    gone: set[str] = set()
    todo = sorted(set(points))
    while todo:
        again: list[str] = []
        for point in todo:
            sources, targets = into[point], out[point]
            if len(sources) * len(targets) > len(sources) + len(targets):
                again.append(point)
                continue
            for source in sources:
                out[source].discard(point)
                out[source] |= targets - {source}
            for target in targets:
                into[target].discard(point)
                into[target] |= sources - {target}
            gone.add(point)
            into[point], out[point] = set(), set()
        # A contraction may have made another point small enough.
        todo = again if len(again) < len(todo) else []
    place = {node: number for number, node in enumerate(nodes)}
    return [
        (before, after)
        for before in nodes
        if before not in gone
        for after in sorted(out[before], key=place.__getitem__)
    ]


def reduce(edges: Sequence[Pair], keep: frozenset[Pair]) -> list[Pair]:
    """The transitive reduction, but for the edges to ``keep``; a graph with a cycle stays as it is.

    Reachability as integers used as bit sets: quadratic in bits, so meant for what fits a picture.
    """
    out: dict[str, list[str]] = {}
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    for before, after in edges:
        out.setdefault(before, []).append(after)
        sorter.add(before, after)  # dependencies reversed: the last nodes come out first
    try:
        order = list(sorter.static_order())
    except graphlib.CycleError:
        return list(edges)
    bit = {node: 1 << number for number, node in enumerate(order)}
    reach: dict[str, int] = {}
    needless: set[Pair] = set()
    for node in order:
        targets = out.get(node, [])
        beyond = 0
        for target in targets:
            beyond |= reach[target] & ~bit[target]
        reach[node] = beyond | bit[node]
        for target in targets:
            reach[node] |= bit[target]
            if beyond & bit[target]:
                needless.add((node, target))
    return [edge for edge in edges if edge not in needless or edge in keep]


def path_edges(path: Sequence[str], edges: Sequence[Pair], points: frozenset[str]) -> frozenset[Pair]:
    """The edges of ``path``, whose steps follow each other directly or through ``points``."""
    out: dict[str, list[str]] = {}
    for before, after in edges:
        out.setdefault(before, []).append(after)
    found: set[Pair] = set()
    for start, goal in itertools.pairwise(path):
        found.update(_through(start, goal, out, points))
    return frozenset(found)


def _through(start: str, goal: str, out: Mapping[str, Sequence[str]], points: frozenset[str]) -> list[Pair]:
    came: dict[str, str] = {}
    todo = [start]
    while todo and goal not in came:
        following: list[str] = []
        for node in todo:
            for target in out.get(node, ()):
                if target not in came and (target == goal or target in points):
                    came[target] = node
                    following.append(target)
        todo = following
    edges: list[Pair] = []
    node = goal
    while node in came and node != start:
        edges.append((came[node], node))
        node = came[node]
    return edges
