"""The compiled plan: what reviewers read, what a digest seals and what the executor runs.

A compiled rollback is the same type with another ``kind``: one scheduler, one journal and one
renderer serve both ways. Everything here is frozen; a pass that changes a plan returns a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Union

Json = Union[None, bool, int, float, str, Sequence["Json"], Mapping[str, "Json"]]
JsonObject = Mapping[str, Json]

FORMAT = 1
"""Version of the compiled plan's format; a reader refuses what it does not know, by name."""


class PlanKind(StrEnum):
    """Which way a compiled graph goes."""

    PLAN = "CompiledPlan"
    ROLLBACK = "CompiledRollback"


class Verb(StrEnum):
    """What the executor asks of an action's runner at a node."""

    RUN = "run"
    UNDO = "undo"
    PROBE = "probe"
    BARRIER = "barrier"
    """Nothing runs; the node only joins edges, so that phases need no all-pairs edges."""


class Verdict(StrEnum):
    """What a probe found of a step whose outcome is not in the journal."""

    APPLIED = "applied"
    ABSENT = "absent"
    RESUMABLE = "resumable"
    """Partly applied, and safe to run again from its last checkpoint."""
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """What a firing trigger does: low tells, medium pauses, high drains and rolls back,
    critical cancels and rolls back."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Category(StrEnum):
    """The rollback order's classes; traffic goes back before data does."""

    TRAFFIC = "traffic"
    DATA = "data"
    CONFIGURATION = "configuration"
    INFRASTRUCTURE = "infrastructure"
    CHECK = "check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where in the YAML something was written. ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A range with its provenance. Durations are in seconds.

    ``provenance`` is ``declared`` (the YAML says so), ``default`` (documented rule of thumb) or
    ``none`` (nothing to wait for).
    """

    low: float = 0.0
    likely: float = 0.0
    high: float = 0.0
    provenance: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a step starts and ends if every step takes its likely time. Seconds from the start.

    ``slack`` is how late it may end without making the plan longer.
    """

    start: float = 0.0
    end: float = 0.0
    slack: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a transient failure is tried again. ``delay`` is in seconds and doubles each time."""

    attempts: int = 3
    delay: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inverse:
    """How a step is taken back.

    ``safe_when_absent``: running it where the step never had an effect changes nothing, so that no
    probe is needed before it. ``probed``: the step says how to find out whether it was applied.
    ``nothing``: the step leaves nothing behind that must be taken back.
    """

    summary: str
    safe_when_absent: bool = False
    probed: bool = False
    nothing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Run the guarded node only if the probe ``step`` found one of ``verdicts``; else it is skipped."""

    step: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node of the graph.

    ``params`` are the action's own, resolved and validated (for the node of an inverse: those of the
    step that it takes back, named by ``undoes``). ``reads`` and ``writes`` name what is touched, as
    ``store.collection`` or ``file:path``; ``requires`` are those that must be there before the run, unless
    another step writes them. ``timeout`` is in seconds, None for no limit. ``resources``
    are exclusive: two steps that name one never run at the same time. ``irreversible`` holds the
    reason where there is no inverse.
    """

    id: str
    kind: str
    verb: Verb = Verb.RUN
    name: str = ""
    description: str = ""
    phase: str = ""
    category: Category = Category.DATA
    params: JsonObject = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    undoes: str | None = None
    guard: Guard | None = None
    inverse: Inverse | None = None
    irreversible: str | None = None
    pivot: bool = False
    critical: bool = True
    idempotent: bool = False
    interruptible: bool = False
    retry: Retry = field(default_factory=Retry)
    timeout: float | None = None
    resources: tuple[str, ...] = ()
    estimate: Estimate = field(default_factory=Estimate)
    schedule: Schedule = field(default_factory=Schedule)
    assignee: str | None = None
    deliverables: tuple[str, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Edge:
    """``before`` must have ended well before ``after`` starts."""

    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A phase as written, for people; its order in the graph is made of barrier nodes."""

    id: str
    name: str
    description: str = ""
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSpec:
    """A store by its type and its options; a secret stands in them only as a reference
    (``{"fromEnv": NAME}`` or ``{"fromFile": PATH}``)."""

    type: str
    options: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A condition that may hold the run or start the rollback that was compiled.

    ``step`` limits the metrics to one step's own. ``window`` is in seconds; ``samples`` is the least
    number of true samples before it fires.
    """

    id: str
    condition: str
    threshold: float | None = None
    window: float = 0.0
    samples: int = 1
    severity: Severity = Severity.HIGH
    automated: bool = True
    step: str | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """A node that people wrote for the way back.

    ``undoes``: the steps whose own inverse it replaces; empty if it belongs to every rollback.
    ``dependencies`` name other procedures. ``order`` sorts within a category.
    """

    step: Step
    order: int = 0
    undoes: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackPlan:
    """What a strategy adds to the derived inverses: procedures, and the checks that end a rollback."""

    procedures: tuple[Procedure, ...] = ()
    checks: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """``on_failure``: ``rollback`` or ``hold``. ``retention`` of before-images is in seconds."""

    max_parallel: int = 4
    on_failure: str = "rollback"
    retention: float = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPlan:
    """The sealed plan. ``steps`` are in topological order, ``edges`` sorted.

    ``inputs`` maps each file that a step will read (relative to the plan's own folder) to its SHA-256,
    ``sources`` likewise the YAML files that were compiled in. ``location`` is the plan's folder as seen
    from the compiled file's. ``digest`` covers all that matters: not itself, not ``location``, and neither
    ``sources`` nor origins, so that a comment in the YAML does not change it.
    """

    name: str
    kind: PlanKind
    format: int
    version: str = ""
    source: str = ""
    stores: Mapping[str, StoreSpec] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    steps: tuple[Step, ...] = ()
    edges: tuple[Edge, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rollback: RollbackPlan = field(default_factory=RollbackPlan)
    policy: Policy = field(default_factory=Policy)
    variables: JsonObject = field(default_factory=dict)
    notes: JsonObject = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    estimate: Estimate = field(default_factory=Estimate)
    critical_path: tuple[str, ...] = ()
    plan_digest: str | None = None
    """For a rollback: the digest of the plan that it takes back."""
    digest: str = ""
    location: str = "."

    def step(self, step_id: str) -> Step:
        """The step of that id. Raises KeyError."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)
