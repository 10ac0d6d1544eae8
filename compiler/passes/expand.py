"""Expand: tasks, validations, phases and bulk thresholds become steps, barriers and triggers."""

from __future__ import annotations

from dataclasses import replace

from compiler.compilation import Compilation, Draft
from compiler.diagnostics import Span
from compiler.model.plan import Category, Estimate, Origin, Retry, Step, Trigger, Verb
from compiler.scope import ActionScope, PlanScope
from compiler.source.tree import MappingNode, ScalarNode

TYPES = {
    "data_migration": Category.DATA,
    "code_change": Category.CONFIGURATION,
    "configuration": Category.CONFIGURATION,
    "testing": Category.CHECK,
}
LEAST_READ = 100
"""Records that must have been read before a rate of errors means anything."""


def expand(compilation: Compilation) -> Compilation:
    """Steps without order, and the triggers that error thresholds stand for."""
    steps: list[Step] = []
    places: dict[str, Span] = {}
    for draft in compilation.drafts:
        if draft.id in places:
            continue
        places[draft.id] = draft.span
        steps.append(step_of(draft, compilation))
    for phase in compilation.phases:
        for barrier in (phase_start(phase.id), phase_end(phase.id)):
            steps.append(Step(id=barrier, kind="barrier", verb=Verb.BARRIER, phase=phase.id))
    triggers = tuple(t for draft in compilation.drafts for t in _thresholds(draft))
    return replace(compilation, steps=tuple(steps), places=places, triggers=triggers)


def phase_start(phase: str) -> str:
    """The barrier before a phase's first step."""
    return f"phase:{phase}:start"


def phase_end(phase: str) -> str:
    """The barrier after a phase's last step."""
    return f"phase:{phase}:end"


def step_of(draft: Draft, compilation: Compilation) -> Step:
    """The step that a task, validation or procedure stands for, without edges."""
    node, meaning = draft.node, draft.meaning
    scope = ActionScope(
        PlanScope(
            documents=compilation.documents,
            files=compilation.request.files,
            collector=compilation.collector,
            stores=compilation.stores,
            actions={},
        ),
        draft.id,
    )
    step = Step(
        id=draft.id,
        kind=draft.kind or "manual",
        name=node.text("name") or node.text("description") or draft.id,
        description=node.text("description") or "",
        phase=draft.phase,
        pivot=node.flag("pivot"),
        critical=not _is_false(node, "critical"),
        irreversible=node.text("irreversible"),
        retry=_retry(node, scope),
        timeout=scope.seconds(node.get("timeout"), "s"),
        resources=tuple(text for text, _ in node.texts("resources")),
        assignee=node.text("assignee"),
        deliverables=tuple(text for text, _ in node.texts("deliverables")),
        origin=Origin(file=draft.span.file, line=draft.span.line, column=draft.span.column),
    )
    declared = scope.seconds(node.get("estimatedDuration"), "m")
    if meaning is None:
        return step
    estimate = meaning.estimate
    if declared is not None:
        # People's own estimates are right within a factor of two more often than not.
        estimate = Estimate(low=declared / 2, likely=declared, high=declared * 2, provenance="declared")
    return replace(
        step,
        params=meaning.params,
        reads=meaning.reads,
        writes=meaning.writes,
        requires=meaning.requires,
        inverse=None if step.irreversible else meaning.inverse,
        category=_category(node, draft),
        interruptible=meaning.interruptible,
        idempotent=meaning.idempotent or node.flag("idempotent"),
        estimate=estimate,
    )


def _category(node: MappingNode, draft: Draft) -> Category:
    assert draft.meaning is not None
    if draft.validation:
        return Category.CHECK
    if draft.meaning.category is not Category.CONFIGURATION:
        return draft.meaning.category
    # What a command or a person does is what the task says it is.
    return TYPES.get(node.text("type") or "", draft.meaning.category)


def _retry(node: MappingNode, scope: ActionScope) -> Retry:
    written = node.mapping("retry")
    if written is None:
        return Retry()
    attempts = written.get("attempts")
    delay = scope.seconds(written.get("delay"), "s")
    count = attempts.value if isinstance(attempts, ScalarNode) else None
    return Retry(
        attempts=count if isinstance(count, int) and count >= 1 else Retry().attempts,
        delay=Retry().delay if delay is None else delay,
    )


def _is_false(node: MappingNode, key: str) -> bool:
    value = node.get(key)
    return isinstance(value, ScalarNode) and value.value is False


def _thresholds(draft: Draft) -> list[Trigger]:
    """The triggers that a bulk step's ``errorThreshold`` stands for."""
    if draft.kind != "bulk" or draft.meaning is None:
        return []
    threshold = draft.meaning.params.get("errorThreshold")
    assert isinstance(threshold, dict)
    origin = Origin(file=draft.span.file, line=draft.span.line, column=draft.span.column)
    triggers = []
    for key, condition in (
        ("rate", f"errorRate > threshold && read >= {LEAST_READ}"),
        ("count", "deadLetters > threshold"),
    ):
        limit = threshold.get(key)
        if isinstance(limit, (int, float)):
            triggers.append(
                Trigger(
                    id=f"{draft.id}/errorThreshold" + ("" if key == "rate" else "/count"),
                    condition=condition,
                    threshold=float(limit),
                    step=draft.id,
                    origin=origin,
                )
            )
    return triggers
