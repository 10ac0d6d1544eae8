"""What the journal says of a run, folded: the executor's memory and the rollback's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from compiler.model.plan import JsonObject, Verdict


class StepStatus(StrEnum):
    """Where a node stands.

    ``INTENDED`` without a process that runs it is *in doubt*; so is ``FAILED`` unless its verdict says
    otherwise.
    """

    PENDING = "pending"
    WAITING = "waiting"
    INTENDED = "intended"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


ENDED_WELL = frozenset({StepStatus.DONE, StepStatus.SKIPPED})


class RunStatus(StrEnum):
    """Where a run stands; the last ones are final but for ``ROLLBACK_FAILED``, which continues."""

    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    HALTED = "halted"
    ROLLING_BACK = "rolling_back"
    COMPLETED = "completed"
    FAILED = "failed"
    """Stopped with ``onFailure: hold``, to be resumed or rolled back by a person."""
    ROLLED_BACK = "rolled_back"
    ROLLED_BACK_WITH_WARNINGS = "rolled_back_with_warnings"
    ROLLBACK_FAILED = "rollback_failed"
    SUPERSEDED = "superseded"
    """Left as it was: a person began anew instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a data step did, in records. ``read = written + unchanged + filtered + dead`` when it ends.

    ``embedded`` counts texts sent to an embedding provider, ``bytes`` what was read.
    """

    read: int = 0
    written: int = 0
    unchanged: int = 0
    filtered: int = 0
    dead: int = 0
    embedded: int = 0
    bytes: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            read=self.read + other.read,
            written=self.written + other.written,
            unchanged=self.unchanged + other.unchanged,
            filtered=self.filtered + other.filtered,
            dead=self.dead + other.dead,
            embedded=self.embedded + other.embedded,
            bytes=self.bytes + other.bytes,
        )

    @property
    def balanced(self) -> bool:
        """Whether every record that was read is accounted for."""
        return self.read == self.written + self.unchanged + self.filtered + self.dead


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One node's state. Times are POSIX seconds. ``prepared`` is what the intent recorded before the
    first effect; ``result`` what the outcome says."""

    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    prepared: JsonObject | None = None
    checkpoint: JsonObject | None = None
    counts: Counts | None = None
    verdict: Verdict | None = None
    result: JsonObject = field(default_factory=dict)
    error: str | None = None
    started: float | None = None
    finished: float | None = None

    @property
    def ended_well(self) -> bool:
        return self.status in ENDED_WELL


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A whole run: forward nodes in ``steps``, the nodes of its rollback graph in ``rollback``."""

    run: str
    plan_digest: str
    name: str
    status: RunStatus = RunStatus.RUNNING
    started: float = 0.0
    finished: float | None = None
    steps: Mapping[str, StepState] = field(default_factory=dict)
    rollback_digest: str | None = None
    rollback: Mapping[str, StepState] = field(default_factory=dict)
    reason: str | None = None
    asked: bool = False
    """Whether a person asked for the rollback."""
    trigger: JsonObject | None = None
