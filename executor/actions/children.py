"""A step's child process: what it is told, where its output goes, and what its end means."""

from __future__ import annotations

import hashlib
import os
import urllib.parse
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from compiler.model.plan import JsonObject, Step, Verdict
from executor import processes
from executor.contract import Context, Outcome, StepFailed, StepTransient
from executor.processes import Command, Ended
from executor.secrets import is_reference, read_secret

TRANSIENT_STATUS = os.EX_TEMPFAIL
"""The exit status (75) by which a command asks to be tried again, as sysexits.h has it."""

_PROBE_TIMEOUT = 300.0
_TRACEBACK = "Traceback (most recent call last):"


class Direction(StrEnum):
    """What ``FORDWAY_DIRECTION`` tells the child."""

    FORWARD = "forward"
    BACKWARD = "backward"
    PROBE = "probe"


def invoke(
    step: Step,
    context: Context,
    argv: Sequence[str],
    *,
    direction: Direction,
    env: JsonObject,
    cwd: Path,
    timeout: float | None = None,
    defaults: Mapping[str, str] | None = None,
) -> Ended:
    """Run ``argv`` for a step and tell how it ended; its output is added to the attempt's log.

    The child's environment is this process's own, over it ``defaults``, over them what the plan says in
    ``env`` (strings and secret references), over all the ``FORDWAY_…`` variables. ``timeout`` is in
    seconds. Raises StepFailed (verdict ABSENT) if it could not be started, and what
    ``context.proceed`` raises once the child is dead.
    """
    told, secrets = _resolve(env, context.base)
    command = Command(
        argv=tuple(argv),
        cwd=cwd,
        env={**_own_environment(), **(defaults or {}), **told, **_identity(step, context, direction)},
        secrets=secrets,
    )
    context.proceed()
    return processes.run_process(command, log_path(step, context), timeout=timeout, proceed=context.proceed)


def log_path(step: Step, context: Context) -> Path:
    """The log of this attempt at this step."""
    name = urllib.parse.quote(step.id, safe=":@+=, ")
    if len(name) > 150:
        name = name[:100] + "…" + hashlib.sha256(step.id.encode()).hexdigest()[:16]
    return context.folder / "logs" / f"{name}.{context.attempt}.log"


def outcome_of(step: Step, context: Context, argv: Sequence[str], ended: Ended) -> Outcome:
    """The outcome of a child that ended with status 0. Raises StepFailed for every other end.

    It is transient if the child asks to be tried again (status 75), or failed by itself and the step
    says that it may be run again (``idempotent``).
    """
    if ended.status == 0:
        result: dict[str, bool | int | str | list[str]] = {
            "exit": 0,
            "log": str(ended.log.relative_to(context.folder)),
            "output": list(ended.tail[-5:]),
        }
        if ended.background:
            result["background"] = True
        if ended.unlogged:
            result["unlogged"] = ended.unlogged
        return Outcome(result=result)
    shown = Command(argv=tuple(argv), cwd=context.base, env={})
    lines = [f"  | {line}" for line in ended.tail]
    again = ended.status == TRANSIENT_STATUS or (step.idempotent and (ended.status or 0) > 0)
    failure = StepTransient if again else StepFailed
    raise failure("\n".join([f"`{shown}` {ended}", *lines]), hint=f"the whole output is in {ended.log}")


def verdict_of(ended: Ended) -> Verdict:
    """What a probe's end says: status 0 applied, 1 absent, all else unknown.

    An interpreter that dies of an uncaught exception ends with status 1 too; it has found nothing out.
    """
    if ended.status == 0:
        return Verdict.APPLIED
    if ended.status == 1 and _TRACEBACK not in ended.tail:
        return Verdict.ABSENT
    return Verdict.UNKNOWN


def probe_timeout(step: Step) -> float:
    """Seconds that a probe may take: the step's own limit, or five minutes."""
    return _PROBE_TIMEOUT if step.timeout is None else step.timeout


def _own_environment() -> dict[str, str]:
    # A crash point is meant for this process alone.
    return {name: value for name, value in os.environ.items() if name != "FORDWAY_CRASH_AT"}


def _identity(step: Step, context: Context, direction: Direction) -> dict[str, str]:
    return {
        "FORDWAY_RUN": context.run,
        "FORDWAY_STEP": step.undoes or step.id,
        "FORDWAY_KEY": context.key,
        "FORDWAY_DIRECTION": direction.value,
    }


def _resolve(env: JsonObject, base: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The plan's variables for a child, and which values among them are secret."""
    told: dict[str, str] = {}
    secrets: list[str] = []
    for name, value in env.items():
        if is_reference(value):
            told[name] = read_secret(value, base)
            secrets.append(told[name])
        elif isinstance(value, bool):
            told[name] = "true" if value else "false"
        elif isinstance(value, (str, int, float)):
            told[name] = str(value)
        else:
            raise StepFailed(f"env.{name} must be text or a secret reference", verdict=Verdict.ABSENT)
    return told, tuple(secrets)
