"""The ``script`` action: a file beside the plan, run by the interpreter that its suffix names."""

from __future__ import annotations

import sys

from compiler.model.plan import JsonObject, Step, Verdict
from executor.actions import params
from executor.actions.children import Direction, invoke, outcome_of, probe_timeout, verdict_of
from executor.contract import Context, Outcome, StepFailed
from executor.processes import Ended

_INTERPRETERS = {".py": (sys.executable,), ".sh": ("/bin/sh",)}


def argv_of(step: Step, context: Context, name: str, arguments: str) -> tuple[str, ...]:
    """The script under ``name`` with the arguments under ``arguments``; empty if there is no script.

    Raises StepFailed (verdict ABSENT) if the file is not there.
    """
    if step.params.get(name) is None:
        return ()
    path = context.base / params.text(step.params, name)
    if not path.is_file():
        raise StepFailed(f"the script {path} is not there", verdict=Verdict.ABSENT)
    interpreter = params.words(step.params, "interpreter") or _INTERPRETERS.get(path.suffix, ())
    return (*interpreter, str(path.resolve()), *params.words(step.params, arguments))


class ScriptRunner:
    """Runs the script in the plan's folder; undoes and probes by the scripts given for that."""

    def prepare(self, step: Step, context: Context) -> JsonObject:  # noqa: ARG002
        return {}

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        return self._do(step, context, "path", "args", Direction.FORWARD)

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:  # noqa: ARG002
        try:
            argv = argv_of(step, context, "probe", "probeArgs")
            if not argv:
                return Verdict.RESUMABLE if step.idempotent else Verdict.UNKNOWN
            return verdict_of(_start(step, context, argv, Direction.PROBE, probe_timeout(step)))
        except StepFailed:  # a probe that cannot be run has found nothing out
            return Verdict.UNKNOWN

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        return self._do(step, context, "undo", "undoArgs", Direction.BACKWARD)

    def _do(self, step: Step, context: Context, name: str, arguments: str, direction: Direction) -> Outcome:
        argv = argv_of(step, context, name, arguments)
        if not argv:
            raise StepFailed(f"the script declares no '{name}'", verdict=Verdict.ABSENT)
        return outcome_of(step, context, argv, _start(step, context, argv, direction, step.timeout))


def _start(
    step: Step, context: Context, argv: tuple[str, ...], direction: Direction, timeout: float | None
) -> Ended:
    return invoke(
        step,
        context,
        argv,
        direction=direction,
        env=params.mapping(step.params, "env"),
        cwd=context.base,
        timeout=timeout,
        # What a Python script prints would otherwise reach the log only at its end.
        defaults={"PYTHONUNBUFFERED": "1"},
    )
