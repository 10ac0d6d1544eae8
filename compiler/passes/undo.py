"""Undo: prove the way back. For prefixes of the plan the rollback graph is derived and shown acyclic."""

from __future__ import annotations

from compiler.compilation import Compilation
from compiler.graph import CycleFound
from compiler.model.plan import Step, Verb
from compiler.model.run import StepState, StepStatus
from compiler.passes.seal import unsealed
from compiler.rollback.derive import derive
from compiler.source.tree import head

MOST_PREFIXES = 32
"""Prefixes of the topological order that are tried; of a longer plan as many are taken, evenly spread."""


def undo(compilation: Compilation) -> Compilation:
    """The same compilation; a rollback that cannot be ordered is reported."""
    if compilation.collector.failed:
        return compilation
    plan = unsealed(compilation)
    steps = [step for step in plan.steps if step.verb is Verb.RUN]
    for length in _prefixes(len(steps)):
        try:
            derive(plan, after_failure_of(steps, length))
        except CycleFound as found:
            strategy = compilation.documents.strategy
            root = strategy.root if strategy is not None else compilation.documents.plan.root
            compilation.collector.report(
                "rollback-cycle",
                root.key_span("procedures") if "procedures" in root else head(root.span),
                f"if '{steps[length - 1].id}' fails, the way back goes round: {found}",
                "Change the procedures' 'dependencies', 'order' or 'undoes'.",
            )
            return compilation
    return compilation


def after_failure_of(steps: list[Step], length: int) -> dict[str, StepState]:
    """The journal's state when the steps up to ``length - 1`` are done and the next has failed in doubt."""
    states = {step.id: StepState(status=StepStatus.DONE) for step in steps[: length - 1]}
    if length:
        states[steps[length - 1].id] = StepState(status=StepStatus.FAILED)
    return states


def _prefixes(count: int) -> list[int]:
    if count <= MOST_PREFIXES:
        return list(range(1, count + 1))
    return sorted({1 + i * (count - 1) // (MOST_PREFIXES - 1) for i in range(MOST_PREFIXES)})
