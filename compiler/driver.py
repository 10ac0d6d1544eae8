"""The compiler's door: what commands and the executor may call."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.diagnostics import Collector, Diagnostic, render_all
from compiler.model.codec import CodecError, dump_plan, load_plan
from compiler.model.plan import CompiledPlan, Json
from compiler.model.run import StepState, StepStatus
from compiler.render import CannotDraw

SUFFIX = ".compiled.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What came of a compile. ``plan`` is None if there was an error; ``text`` are the diagnostics for
    people, empty if there are none."""

    plan: CompiledPlan | None
    diagnostics: tuple[Diagnostic, ...]
    text: str


def compile_file(
    path: Path, overrides: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> Compiled:
    """Compile a plan's YAML. It reads files of the plan's project and nothing else; ``environment`` is
    looked at only for variables that name an environment variable."""
    from compiler.compilation import Request
    from compiler.pipeline import compile_plan
    from compiler.source.files import DiskFiles, project_root

    collector = Collector()
    request = Request(
        path=os.path.relpath(path) if path.is_absolute() else path.as_posix(),
        files=DiskFiles(project_root(path)),
        overrides=overrides or {},
        environment=environment or {},
    )
    compilation = compile_plan(request, collector)
    return Compiled(
        plan=compilation.plan if compilation is not None else None,
        diagnostics=collector.diagnostics,
        text=render_all(collector.diagnostics, collector.sources),
    )


def overrides(given: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE`` pairs of ``--var`` as a mapping. Raises ValueError for anything else."""
    found: dict[str, str] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise ValueError(f"'{item}' is not NAME=VALUE")
        found[name] = value
    return found


def output_beside(path: Path) -> Path:
    """Where a compile writes by default: ``plan.yaml`` → ``plan.compiled.json``."""
    return path.with_name(path.stem + SUFFIX)


def write_compiled(plan: CompiledPlan, source: Path, output: Path) -> CompiledPlan:
    """Write the compiled file, whole or not at all. Returns the plan with its location: the plan's folder
    as seen from the file's."""
    output.parent.mkdir(parents=True, exist_ok=True)
    location = Path(os.path.relpath(source.resolve().parent, output.resolve().parent)).as_posix()
    placed = replace(plan, location=location)
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(dump_plan(placed))
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return placed


def read_compiled(path: Path) -> tuple[CompiledPlan, Path]:
    """A compiled file and the folder that its paths start from. Raises CodecError or OSError."""
    plan = load_plan(path.read_bytes())
    return plan, (path.resolve().parent / plan.location).resolve()


def moved_sources(plan: CompiledPlan, base: Path) -> list[str]:
    """The YAML files that the plan was compiled from and that say something else now, or are gone: those of
    other bytes, if compiling them again with the same variables gives another plan."""
    changed = [name for name, digest in sorted(plan.sources.items()) if _digest(base / name) != digest]
    if not changed or not all((base / name).exists() for name in changed):
        return changed
    variables = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in plan.variables.items()
        if value is not None
    }
    again = compile_file(base / plan.source, variables).plan
    return [] if again is not None and again.digest == plan.digest else changed


def _digest(path: Path) -> str | None:
    try:
        return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def is_compiled(path: Path) -> bool:
    """Whether a file is meant as a compiled one: by its name."""
    return path.name.endswith(".json")


def render(plan: CompiledPlan, form: str, statuses: Mapping[str, str] | None = None) -> str:
    """A plan or rollback as ``text``, ``mermaid``, ``dot`` or ``svg``. Raises CannotDraw (``svg`` only)."""
    from compiler.render import FORMATS

    return FORMATS[form](plan, statuses)


def way_back(plan: CompiledPlan, if_fails: str | None) -> CompiledPlan:
    """The rollback graph of the whole plan, or of the plan up to a step that fails, all steps that may run
    before it done. Raises KeyError for a step that is not there."""
    from compiler.model.plan import Verb
    from compiler.passes.undo import after_failure_of
    from compiler.rollback.derive import derive

    steps = [step for step in plan.steps if step.verb is Verb.RUN]
    if if_fails is None:
        return derive(plan, {step.id: StepState(status=StepStatus.DONE) for step in steps})
    ids = [step.id for step in steps]
    if if_fails not in ids:
        raise KeyError(if_fails)
    return derive(plan, after_failure_of(steps, ids.index(if_fails) + 1))


def summary(plan: CompiledPlan, diagnostics: tuple[Diagnostic, ...], output: str | None) -> dict[str, Json]:
    """What ``plan compile --json`` prints. Durations in seconds."""
    from compiler.model.codec import to_json

    estimate = plan.estimate
    return {
        "digest": plan.digest,
        "plan": plan.name,
        "version": plan.version,
        "steps": [to_json(step) for step in plan.steps],
        "edges": [[edge.before, edge.after] for edge in plan.edges],
        "estimate": {
            "low": estimate.low,
            "likely": estimate.likely,
            "high": estimate.high,
            "provenance": estimate.provenance,
        },
        "criticalPath": list(plan.critical_path),
        "diagnostics": [item.to_json() for item in diagnostics],
        "output": output,
    }


def failure(diagnostics: tuple[Diagnostic, ...]) -> dict[str, Json]:
    """What ``plan compile --json`` prints where there is no plan: the same keys, empty."""
    return {
        "digest": None,
        "plan": None,
        "version": None,
        "steps": [],
        "edges": [],
        "estimate": None,
        "criticalPath": [],
        "diagnostics": [item.to_json() for item in diagnostics],
        "output": None,
    }


__all__ = [
    "CannotDraw",
    "CodecError",
    "Compiled",
    "compile_file",
    "failure",
    "is_compiled",
    "moved_sources",
    "output_beside",
    "overrides",
    "read_compiled",
    "render",
    "summary",
    "write_compiled",
]
