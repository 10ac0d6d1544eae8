"""The ``command`` action: a program with its arguments, and how to take it back."""

from __future__ import annotations

from pathlib import Path

from compiler.model.plan import JsonObject, Step, Verdict
from executor.actions import params
from executor.actions.children import Direction, invoke, outcome_of, probe_timeout, verdict_of
from executor.contract import Context, Outcome, StepFailed
from executor.processes import Ended


def argv_of(values: JsonObject, name: str) -> tuple[str, ...]:
    """The argument list under ``name``: a list as it stands, a string (``shell: true``) for the shell;
    empty if there is none."""
    value = values.get(name)
    if isinstance(value, str):
        return ("/bin/sh", "-c", value)
    return params.words(values, name)


class CommandRunner:
    """Runs the command; undoes and probes by the commands that the plan gives for that."""

    def prepare(self, step: Step, context: Context) -> JsonObject:  # noqa: ARG002
        return {}

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        return self._do(step, context, "run", Direction.FORWARD)

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:  # noqa: ARG002
        argv = argv_of(step.params, "probe")
        if not argv:
            return Verdict.RESUMABLE if step.idempotent else Verdict.UNKNOWN
        try:
            return verdict_of(_start(step, context, argv, Direction.PROBE, probe_timeout(step)))
        except StepFailed:  # a probe that cannot be run has found nothing out
            return Verdict.UNKNOWN

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        return self._do(step, context, "undo", Direction.BACKWARD)

    def _do(self, step: Step, context: Context, name: str, direction: Direction) -> Outcome:
        argv = argv_of(step.params, name)
        if not argv:
            raise StepFailed(f"the command declares no '{name}'", verdict=Verdict.ABSENT)
        return outcome_of(step, context, argv, _start(step, context, argv, direction, step.timeout))


def _start(
    step: Step, context: Context, argv: tuple[str, ...], direction: Direction, timeout: float | None
) -> Ended:
    cwd: Path = context.base / params.text(step.params, "cwd", ".")
    env = params.mapping(step.params, "env")
    return invoke(step, context, argv, direction=direction, env=env, cwd=cwd, timeout=timeout)
