"""The ``manual`` action: a person does it, and says so."""

from __future__ import annotations

from compiler.model.plan import JsonObject, Step, Verdict
from executor.actions import params
from executor.contract import Context, Waiting


class ManualRunner:
    """Shows instructions and waits; the run records who confirmed, and when."""

    def prepare(self, step: Step, context: Context) -> JsonObject:  # noqa: ARG002
        return {}

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Waiting:  # noqa: ARG002
        return Waiting(instructions=params.text(step.params, "instructions"))

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:  # noqa: ARG002
        """Only a person knows how far another person came."""
        return Verdict.UNKNOWN

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Waiting:  # noqa: ARG002
        if step.params.get("undo") is not None:
            return Waiting(instructions=params.text(step.params, "undo"))
        done = params.text(step.params, "instructions")
        return Waiting(instructions=f"Take back by hand what was done here: {done}")
