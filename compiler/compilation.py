"""What the passes hand on from one to the next: frozen, so that a pass gives a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.actions.meaning import Meaning
from compiler.diagnostics import Collector, Span
from compiler.model.plan import (
    CompiledPlan,
    Edge,
    Estimate,
    Phase,
    Policy,
    RollbackPlan,
    Step,
    StoreSpec,
    Trigger,
)
from compiler.source.documents import Documents
from compiler.source.files import Files
from compiler.source.tree import MappingNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A task or a validation before it is a step. ``kind`` and ``meaning`` are None where the action is
    missing or too broken; its faults are reported already."""

    id: str
    span: Span
    node: MappingNode
    phase: str
    validation: bool = False
    kind: str | None = None
    meaning: Meaning | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a compile starts from: nothing else may change its result."""

    path: str
    files: Files
    overrides: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """The work so far. ``places`` tells where each step id was written."""

    request: Request
    collector: Collector
    documents: Documents
    stores: Mapping[str, StoreSpec] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    phases: tuple[Phase, ...] = ()
    drafts: tuple[Draft, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Span] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    edges: tuple[Edge, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rollback: RollbackPlan = field(default_factory=RollbackPlan)
    estimate: Estimate = field(default_factory=Estimate)
    critical_path: tuple[str, ...] = ()
    plan: CompiledPlan | None = None
