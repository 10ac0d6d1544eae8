"""The rollback graph of a plan whose run has come as far as its journal says.

The set: every step with a journalled intent, less those proven unapplied, less those that leave nothing
behind, less what a completed pivot made final. In doubt is a step without an outcome, and one that failed
where a probe can tell what is left of it; a step that failed and has no probe is taken back like one that
was done, since its inverse is what was written for that.

Its order: the plan's edges reversed over the transitive closure, then the procedures' own dependencies,
then their ``order`` within a category; traffic goes back first where no data depends on it, and the checks
come last. The same state gives the same graph.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from compiler.graph import topological_order
from compiler.model.codec import seal
from compiler.model.plan import (
    FORMAT,
    Category,
    CompiledPlan,
    Edge,
    Guard,
    Inverse,
    PlanKind,
    Procedure,
    RollbackPlan,
    Step,
    Verb,
    Verdict,
)
from compiler.model.run import StepState, StepStatus
from compiler.rollback.closure import ancestors, contracted, reversed_between
from compiler.schedule import scheduled

_TOUCHED = frozenset({StepStatus.INTENDED, StepStatus.FAILED, StepStatus.DONE, StepStatus.WAITING})
_IN_DOUBT = frozenset({StepStatus.INTENDED, StepStatus.WAITING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """What a rollback has to take back: step ids, those of them in doubt, and the pivots that stay."""

    steps: frozenset[str]
    in_doubt: frozenset[str]
    pivots: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    """The graph while it grows. ``first``/``last``: where a plan step's nodes begin and end."""

    nodes: dict[str, Step] = field(default_factory=dict)
    edges: set[Edge] = field(default_factory=set)
    first: dict[str, str] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)

    def add(self, step: Step, *after: str) -> None:
        self.nodes[step.id] = step
        self.edges.update(Edge(before=item, after=step.id) for item in after)

    def barrier(self, name: str, before: Iterable[str], after: Iterable[str]) -> None:
        """Everything in ``before`` ends before anything in ``after`` starts, without all pairs of edges."""
        left, right = sorted(before), sorted(after)
        if not left or not right:
            return
        if len(left) == 1 or len(right) == 1:
            self.edges.update(Edge(before=a, after=b) for a in left for b in right)
            return
        self.add(Step(id=name, kind="barrier", verb=Verb.BARRIER, category=Category.CHECK), *left)
        self.edges.update(Edge(before=name, after=item) for item in right)


def touched(plan: CompiledPlan, states: Mapping[str, StepState]) -> Touched:
    """What has to be taken back, from the journal's state."""
    final: set[str] = set()
    pivots = [s.id for s in plan.steps if s.pivot and _status(states, s.id) is StepStatus.DONE]
    if pivots:
        final = ancestors(plan.edges, pivots) | set(pivots)
    within: set[str] = set()
    doubtful: set[str] = set()
    for step in plan.steps:
        state = states.get(step.id)
        if step.verb is not Verb.RUN or state is None or step.id in final:
            continue
        if state.status not in _TOUCHED or state.verdict is Verdict.ABSENT:
            continue
        if step.inverse is not None and step.inverse.nothing:
            continue
        within.add(step.id)
        probed = step.inverse is not None and step.inverse.probed
        unsure = state.status in _IN_DOUBT or (state.status is StepStatus.FAILED and probed)
        if unsure and state.verdict is not Verdict.APPLIED:
            doubtful.add(step.id)
    return Touched(steps=frozenset(within), in_doubt=frozenset(doubtful), pivots=tuple(pivots))


def _status(states: Mapping[str, StepState], step_id: str) -> StepStatus | None:
    state = states.get(step_id)
    return state.status if state else None


def derive(plan: CompiledPlan, states: Mapping[str, StepState]) -> CompiledPlan:
    """The sealed rollback graph. Raises compiler.graph.CycleFound where procedures contradict the order.

    A graph without nodes means that there is nothing to take back.
    """
    what = touched(plan, states)
    draft = _Draft()
    if what.steps:
        _add_steps(draft, plan, what)
        _add_order(draft, plan, what)
        _add_procedures(draft, plan.rollback)
        _put_traffic_first(draft)
        _add_checks(draft, plan.rollback)
    return _sealed(plan, draft)


def _add_steps(draft: _Draft, plan: CompiledPlan, what: Touched) -> None:
    replaced = {step: item for item in plan.rollback.procedures for step in item.undoes}
    for step in plan.steps:
        if step.id not in what.steps:
            continue
        if step.id in replaced:
            node = replaced[step.id].step
            draft.nodes[node.id] = node
            draft.first[step.id] = draft.last[step.id] = node.id
        elif step.inverse is None:
            _add_by_hand(draft, step)
        elif step.id in what.in_doubt and not step.inverse.safe_when_absent:
            _add_probed(draft, step, step.inverse)
        else:
            node = _undo(step, step.inverse)
            draft.add(node)
            draft.first[step.id] = draft.last[step.id] = node.id


def _undo(step: Step, inverse: Inverse) -> Step:
    return replace(
        step,
        id=f"undo:{step.id}",
        verb=Verb.UNDO,
        name=f"Take back: {step.name or step.id}",
        description=inverse.summary,
        undoes=step.id,
        inverse=None,
        irreversible=None,
        pivot=False,
        deliverables=(),
    )


def _add_by_hand(draft: _Draft, step: Step) -> None:
    reason = step.irreversible or "no inverse is known"
    node = _manual(
        step,
        f"manual:{step.id}",
        f"Step '{step.id}' cannot be taken back by Fordway ({reason}). Take it back by hand or accept what"
        " it did, then confirm.",
    )
    draft.add(node)
    draft.first[step.id] = draft.last[step.id] = node.id


def _add_probed(draft: _Draft, step: Step, inverse: Inverse) -> None:
    probe = replace(
        _undo(step, inverse),
        id=f"probe:{step.id}",
        verb=Verb.PROBE,
        name=f"Find out whether '{step.id}' was applied",
        description="",
    )
    draft.add(probe)
    applied = Guard(step=probe.id, verdicts=(Verdict.APPLIED, Verdict.RESUMABLE))
    undo = replace(_undo(step, inverse), guard=applied)
    draft.add(undo, probe.id)
    unknown = _manual(
        step,
        f"manual:{step.id}",
        f"It could not be found out whether step '{step.id}' was applied. Look, and if it was, take it back"
        f" by hand ({inverse.summary}); then confirm.",
    )
    draft.add(replace(unknown, guard=Guard(step=probe.id, verdicts=(Verdict.UNKNOWN,))), undo.id)
    draft.first[step.id], draft.last[step.id] = probe.id, unknown.id


def _manual(step: Step, node_id: str, instructions: str) -> Step:
    return Step(
        id=node_id,
        kind="manual",
        name=f"By hand: {step.name or step.id}",
        phase=step.phase,
        category=step.category,
        params={"instructions": instructions},
        undoes=step.id,
        critical=step.critical,
        origin=step.origin,
    )


def _add_order(draft: _Draft, plan: CompiledPlan, what: Touched) -> None:
    graph = contracted(reversed_between(plan, what.steps), what.steps)
    for node in sorted(graph.after):
        if node not in what.steps:
            draft.nodes[f"via:{node}"] = Step(
                id=f"via:{node}", kind="barrier", verb=Verb.BARRIER, category=Category.CHECK
            )
    for before, afters in graph.after.items():
        left = draft.last.get(before, f"via:{before}")
        for after in afters:
            right = draft.first.get(after, f"via:{after}")
            if left != right:
                draft.edges.add(Edge(before=left, after=right))


def _add_procedures(draft: _Draft, rollback: RollbackPlan) -> None:
    free = [item for item in rollback.procedures if not item.undoes]
    derived = [node for node in draft.nodes if draft.nodes[node].category is not Category.TRAFFIC]
    for item in free:
        draft.nodes[item.step.id] = item.step
    here = [item for item in rollback.procedures if item.step.id in draft.nodes]
    ids = {item.step.id for item in here}
    for item in here:
        for dependency in item.dependencies:
            if dependency in ids:
                draft.edges.add(Edge(before=dependency, after=item.step.id))
    for category in Category:
        _chain_by_order(draft, category, [item for item in here if item.step.category is category])
    _chain_categories(draft, free, derived)


def _chain_by_order(draft: _Draft, category: Category, procedures: list[Procedure]) -> None:
    groups: dict[int, list[str]] = {}
    for item in procedures:
        groups.setdefault(item.order, []).append(item.step.id)
    orders = sorted(groups)
    for earlier, later in itertools.pairwise(orders):
        draft.barrier(f"order:{category.value}:{later}", groups[earlier], groups[later])


def _chain_categories(draft: _Draft, free: list[Procedure], derived: list[str]) -> None:
    """Configuration and then infrastructure go back when the data is back: they may be what it stands on."""
    stages: list[list[str]] = [
        [*derived, *(item.step.id for item in free if item.step.category is Category.DATA)]
    ]
    for category in (Category.CONFIGURATION, Category.INFRASTRUCTURE):
        stage = [item.step.id for item in free if item.step.category is category]
        if stage:
            stages.append(stage)
    for i, (earlier, later) in enumerate(itertools.pairwise(stages)):
        draft.barrier(f"stage:{i + 1}", earlier, later)


def _put_traffic_first(draft: _Draft) -> None:
    traffic = {n.id for n in draft.nodes.values() if n.category is Category.TRAFFIC}
    if not traffic:
        return
    needed = ancestors(draft.edges, traffic)
    rest = {n.id for n in draft.nodes.values() if n.verb is not Verb.BARRIER} - needed - traffic
    entered = {edge.after for edge in draft.edges if edge.before in rest}
    draft.barrier("traffic-is-back", traffic, rest - entered)


def _add_checks(draft: _Draft, rollback: RollbackPlan) -> None:
    ended = set(draft.nodes) - {edge.before for edge in draft.edges}
    for step in rollback.checks:
        draft.nodes[step.id] = step
    draft.barrier("restored", ended, [step.id for step in rollback.checks])


def _sealed(plan: CompiledPlan, draft: _Draft) -> CompiledPlan:
    rank = {step.id: -i for i, step in enumerate(plan.steps)}
    nodes = sorted(draft.nodes, key=lambda n: (rank.get(draft.nodes[n].undoes or "", 0), n))
    edges = sorted(draft.edges)
    order = topological_order(nodes, [(edge.before, edge.after) for edge in edges])
    steps, estimate, path = scheduled([draft.nodes[node] for node in order], edges, plan.policy.max_parallel)
    return seal(
        CompiledPlan(
            name=plan.name,
            kind=PlanKind.ROLLBACK,
            format=FORMAT,
            version=plan.version,
            source=plan.source,
            stores=plan.stores,
            steps=steps,
            edges=tuple(edges),
            policy=plan.policy,
            inputs=plan.inputs,
            estimate=estimate,
            critical_path=path,
            plan_digest=plan.digest,
        )
    )
