"""Resolve: names, files, stores and actions become what they stand for."""

from __future__ import annotations

from dataclasses import replace

from compiler.compilation import Compilation, Draft
from compiler.diagnostics import Span, did_you_mean
from compiler.model.plan import Json, Phase, Policy, StoreSpec
from compiler.scope import ActionScope, PlanScope
from compiler.source.tree import MappingNode, ScalarNode, head


def resolve(compilation: Compilation) -> Compilation:
    """Stores, phases, tasks and validations, with the meaning of every action."""
    root = compilation.documents.plan.root
    stores, scope = _stores(compilation)
    phases = _phases(root, compilation)
    drafts = _drafts(root, compilation)
    actions: dict[str, MappingNode | None] = {}
    for draft in drafts:
        actions.setdefault(draft.id, draft.node.mapping("action"))
    scope = replace(scope, actions=actions)
    for draft in drafts:
        if "action" not in draft.node:
            _missing_action(draft, compilation)
    resolved = []
    for draft in drafts:
        found = scope.meaning_of(draft.id)
        kind, meaning = found if found is not None else (None, None)
        resolved.append(replace(draft, kind=kind, meaning=meaning))
    return replace(
        compilation,
        stores=stores,
        policy=_policy(root, scope),
        phases=phases,
        drafts=tuple(resolved),
        inputs=scope.inputs,
    )


def _missing_action(draft: Draft, compilation: Compilation) -> None:
    code = "cannot-fail" if draft.validation else "no-action"
    what = "validation" if draft.validation else "task"
    hint = (
        "Add an 'action' that can fail: verify, health or command."
        if draft.validation
        else "Add an 'action'; what people do by hand is 'manual: {instructions: …}'."
    )
    compilation.collector.report(code, draft.span, f"{what} '{draft.id}' has no action", hint)


def _stores(compilation: Compilation) -> tuple[dict[str, StoreSpec], PlanScope]:
    root = compilation.documents.plan.root.mapping("stores")
    stores: dict[str, StoreSpec] = {}
    scope = PlanScope(
        documents=compilation.documents,
        files=compilation.request.files,
        collector=compilation.collector,
        stores=stores,
        actions={},
    )
    for entry in root or ():
        node = entry.value
        if not isinstance(node, MappingNode):
            continue
        options: dict[str, Json] = {e.key: e.value.plain() for e in node if e.key != "type"}
        embedding = node.mapping("embedding")
        if embedding is not None:
            options["embedding"] = _embedding(embedding, ActionScope(scope, entry.key))
        kind = node.text("type") or "mongodb"
        if kind == "chromadb":
            options.setdefault("metric", "cosine")
        stores[entry.key] = StoreSpec(type=kind, options=options)
    return stores, scope


def _embedding(node: MappingNode, scope: ActionScope) -> Json:
    options = node.plain()
    if "function" in node:
        options["function"] = scope.function(node.get("function"))
    if "timeout" in node:
        options["timeout"] = scope.seconds(node.get("timeout"), "s")
    return options


def _policy(root: MappingNode, scope: PlanScope) -> Policy:
    node = root.mapping("policy")
    if node is None:
        return Policy()
    policy = Policy()
    parallel = node.get("maxParallel")
    if isinstance(parallel, ScalarNode) and isinstance(parallel.value, int) and parallel.value >= 1:
        policy = replace(policy, max_parallel=parallel.value)
    retention = ActionScope(scope, "policy").seconds(node.get("retention"), "d")
    if retention is not None:
        policy = replace(policy, retention=retention)
    return replace(policy, on_failure=node.text("onFailure") or policy.on_failure)


def _phases(root: MappingNode, compilation: Compilation) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    seen: dict[str, Span] = {}
    nodes = sorted(enumerate(root.mappings("phases")), key=_written_order)
    names = [node.text("id") or "" for _, node in nodes]
    for _, node in nodes:
        phase_id = node.text("id")
        if phase_id is None:
            continue
        _refuse_twice(phase_id, node, seen, compilation, "phase")
        for dependency, span in node.texts("dependencies"):
            if dependency not in names:
                compilation.collector.report(
                    "unknown-phase",
                    span,
                    f"there is no phase '{dependency}'",
                    did_you_mean(dependency, names),
                )
        phases.append(
            Phase(
                id=phase_id,
                name=node.text("name") or phase_id,
                description=node.text("description") or "",
                dependencies=tuple(text for text, _ in node.texts("dependencies") if text in names),
            )
        )
    return tuple(phases)


def _written_order(item: tuple[int, MappingNode]) -> tuple[float, int]:
    """By ``order`` where it is given, else as written."""
    position, node = item
    order = node.get("order")
    value = order.value if isinstance(order, ScalarNode) else None
    return (float(value) if isinstance(value, (int, float)) else position, position)


def _drafts(root: MappingNode, compilation: Compilation) -> list[Draft]:
    drafts: list[Draft] = []
    seen: dict[str, Span] = {}
    for _, phase in sorted(enumerate(root.mappings("phases")), key=_written_order):
        phase_id = phase.text("id") or ""
        for key, name, validation in (("tasks", "id", False), ("validation", "step", True)):
            for node in phase.mappings(key):
                step_id = node.text(name)
                if step_id is None:
                    continue
                _refuse_twice(step_id, node, seen, compilation, "step", name)
                drafts.append(
                    Draft(
                        id=step_id,
                        span=node.value_span(name),
                        node=node,
                        phase=phase_id,
                        validation=validation,
                    )
                )
    for i, node in enumerate(root.mappings("successCriteria")):
        if "action" in node:
            step_id = node.text("id") or f"success-{i + 1}"
            _refuse_twice(step_id, node, seen, compilation, "step")
            drafts.append(Draft(id=step_id, span=head(node.span), node=node, phase="", validation=True))
    return drafts


def _refuse_twice(
    name: str,
    node: MappingNode,
    seen: dict[str, Span],
    compilation: Compilation,
    what: str,
    key: str = "id",
) -> None:
    if name in seen:
        compilation.collector.report(
            "duplicate-id",
            node.value_span(key),
            f"{what} '{name}' was declared at {seen[name]} already",
            "Ids of tasks and validations are unique in the whole plan.",
        )
    seen.setdefault(name, node.value_span(key))
