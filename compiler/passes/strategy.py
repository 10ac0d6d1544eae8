"""Strategy: the rollback strategy's triggers, procedures and checks."""

from __future__ import annotations

import re
from dataclasses import replace

from compiler.compilation import Compilation, Draft
from compiler.diagnostics import did_you_mean
from compiler.model.condition import ConditionError, parse
from compiler.model.plan import (
    Category,
    Json,
    Origin,
    Procedure,
    RollbackPlan,
    Severity,
    Step,
    Trigger,
    Verb,
)
from compiler.passes.expand import step_of
from compiler.scope import ActionScope, PlanScope
from compiler.source.tree import MappingNode, ScalarNode

METRICS = (
    "errorRate",
    "deadLetters",
    "read",
    "written",
    "unchanged",
    "filtered",
    "throughput",
    "duration",
    "memory",
)
"""What the executor itself measures; ``threshold`` is the trigger's own."""


def strategy(compilation: Compilation) -> Compilation:
    """The plan with what its rollback strategy adds."""
    document = compilation.documents.strategy
    if document is None:
        return compilation
    scope = PlanScope(
        documents=compilation.documents,
        files=compilation.request.files,
        collector=compilation.collector,
        stores=compilation.stores,
        actions={draft.id: draft.node.mapping("action") for draft in compilation.drafts},
    )
    root = document.root
    if "communicationPlan" in root:
        compilation.collector.report(
            "not-acted-on",
            root.key_span("communicationPlan"),
            "'communicationPlan' is kept with the plan, but nobody is told by this version",
            "Leave it out, or tell people by a 'command' or 'manual' procedure.",
        )
    triggers = [_trigger(node, compilation, scope) for node in root.mappings("triggers")]
    procedures = _procedures(root, compilation, scope)
    checks = [
        step
        for key, name in (("dataConsistencyChecks", "name"), ("validationSteps", "step"))
        for node in root.mappings(key)
        if (step := _check(node, name, compilation, scope)) is not None
    ]
    return replace(
        compilation,
        triggers=(*compilation.triggers, *(t for t in triggers if t is not None)),
        rollback=RollbackPlan(procedures=tuple(procedures), checks=tuple(checks)),
        inputs={**compilation.inputs, **scope.inputs},
    )


def _origin(node: MappingNode, key: str) -> Origin:
    span = node.value_span(key)
    return Origin(file=span.file, line=span.line, column=span.column)


def _trigger(node: MappingNode, compilation: Compilation, scope: PlanScope) -> Trigger | None:
    text = node.text("condition")
    name = node.text("name") or text
    if text is None or name is None:
        return None
    report = compilation.collector.report
    threshold = _number(node, "threshold")
    try:
        condition = parse(text)
    except ConditionError as error:
        report(
            "bad-condition", node.value_span("condition"), f"{error.message}, at character {error.offset + 1}"
        )
        return None
    for used in sorted(condition.names - {"threshold", *METRICS}):
        report(
            "unknown-metric",
            node.value_span("condition"),
            f"there is no metric '{used}'",
            did_you_mean(used, METRICS),
        )
    if threshold is None and (condition.kind == "number" or "threshold" in condition.names):
        report(
            "no-threshold",
            node.value_span("condition"),
            "the condition compares with a threshold, and the trigger has none",
            "Add 'threshold: …'.",
        )
    if threshold is not None and "timeWindow" not in node:
        report(
            "no-window",
            node.value_span("threshold"),
            f"'{name}' fires at the first sample over its threshold",
            "Add 'timeWindow: 30s', or 'timeWindow: 0s' if that is meant.",
        )
    step = node.text("step")
    if step is not None and step not in {draft.id for draft in compilation.drafts}:
        report(
            "unknown-task",
            node.value_span("step"),
            f"there is no task '{step}'",
            did_you_mean(step, [draft.id for draft in compilation.drafts]),
        )
    window = ActionScope(scope, name).seconds(node.get("timeWindow"), "ms")
    samples = _number(node, "samples")
    severity = node.text("severity")
    automated = node.get("automated")
    return Trigger(
        id=name,
        condition=text,
        threshold=threshold,
        window=window or 0.0,
        samples=int(samples) if samples is not None and samples >= 1 else 1,
        severity=Severity(severity) if severity in set(Severity) else Severity.HIGH,
        automated=not (isinstance(automated, ScalarNode) and automated.value is False),
        step=step,
        origin=_origin(node, "condition"),
    )


def _procedures(root: MappingNode, compilation: Compilation, scope: PlanScope) -> list[Procedure]:
    nodes = root.mappings("procedures")
    names = [node.text("name") or "" for node in nodes]
    ids = {name: _slug("procedure", name) for name in names}
    tasks = {draft.id for draft in compilation.drafts}
    procedures: list[Procedure] = []
    taken: dict[str, str] = {}
    for node, name in zip(nodes, names, strict=True):
        if not name:
            continue
        if ids[name] in taken:
            compilation.collector.report(
                "duplicate-id",
                node.value_span("name"),
                f"procedure '{name}' has the same id as '{taken[ids[name]]}'",
                "Give it another name.",
            )
            continue
        taken[ids[name]] = name
        _check_names(node, "dependencies", names, "unknown-procedure", "procedure", compilation)
        _check_names(node, "undoes", tasks, "unknown-task", "task", compilation)
        step = _procedure_step(node, name, ids[name], compilation, scope)
        if step is not None:
            order = _number(node, "order")
            procedures.append(
                Procedure(
                    step=step,
                    order=int(order) if order is not None else 0,
                    undoes=tuple(text for text, _ in node.texts("undoes") if text in tasks),
                    dependencies=tuple(ids[text] for text, _ in node.texts("dependencies") if text in ids),
                )
            )
    return procedures


def _check_names(
    node: MappingNode,
    key: str,
    known: list[str] | set[str],
    code: str,
    what: str,
    compilation: Compilation,
) -> None:
    for text, span in node.texts(key):
        if text not in known:
            compilation.collector.report(
                code, span, f"there is no {what} '{text}'", did_you_mean(text, sorted(known))
            )


def _procedure_step(
    node: MappingNode, name: str, step_id: str, compilation: Compilation, scope: PlanScope
) -> Step | None:
    category = node.text("type")
    draft = Draft(id=step_id, span=node.value_span("name"), node=node, phase="")
    script, instructions = node.get("script"), node.text("manualInstructions")
    if "action" in node:
        found = scope.resolve(node.mapping("action"), step_id)
        if found is None:
            return None
        draft = replace(draft, kind=found[0], meaning=found[1])
        step = step_of(draft, compilation)
    elif script is not None:
        path = ActionScope(scope, step_id).file(script)
        if path is None:
            return None
        step = replace(step_of(draft, compilation), kind="script", params=_script(path))
    elif instructions is not None:
        step = replace(step_of(draft, compilation), params={"instructions": instructions, "undo": None})
    else:
        compilation.collector.report(
            "no-action",
            node.value_span("name"),
            f"procedure '{name}' says neither what to run nor what a person should do",
            "Add 'script', 'action' or 'manualInstructions'.",
        )
        return None
    # A procedure is not itself taken back; what it takes back is named by 'undoes'.
    return replace(
        step,
        name=name,
        inverse=None,
        category=Category(category) if category in set(Category) else Category.DATA,
    )


def _script(path: str) -> dict[str, Json]:
    return {
        "path": path,
        "undo": None,
        "probe": None,
        "args": [],
        "undoArgs": [],
        "env": {},
        "interpreter": None,
        "safeWhenAbsent": False,
    }


def _check(node: MappingNode, key: str, compilation: Compilation, scope: PlanScope) -> Step | None:
    name = node.text(key)
    if name is None:
        return None
    step_id = _slug("check", name)
    if "action" not in node:
        compilation.collector.report(
            "cannot-fail",
            node.value_span(key),
            f"check '{name}' has no action, so that it could not fail",
            "Add an 'action': verify, health or command.",
        )
        return None
    found = scope.resolve(node.mapping("action"), step_id)
    if found is None:
        return None
    draft = Draft(
        id=step_id,
        span=node.value_span(key),
        node=node,
        phase="",
        validation=True,
        kind=found[0],
        meaning=found[1],
    )
    return replace(step_of(draft, compilation), name=name, inverse=None, verb=Verb.RUN)


def _slug(what: str, name: str) -> str:
    return f"{what}:{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'unnamed'}"


def _number(node: MappingNode, key: str) -> float | None:
    value = node.get(key)
    if not isinstance(value, ScalarNode) or isinstance(value.value, bool):
        return None
    return float(value.value) if isinstance(value.value, (int, float)) else None
