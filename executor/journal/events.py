"""The journal's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from compiler.model.plan import CompiledPlan, JsonObject
from executor.contract import DeadLetter, UndoLog


class Graph(StrEnum):
    """Which graph of the run an event belongs to."""

    PLAN = "plan"
    ROLLBACK = "rollback"


class Phase(StrEnum):
    """What an event says. The first five speak of a step, the rest of the run (their step is empty)."""

    INTENT = "intent"
    CHECKPOINT = "checkpoint"
    OUTCOME = "outcome"
    WAITING = "waiting"
    CONFIRMED = "confirmed"
    STARTED = "started"
    RESUMED = "resumed"
    TRIGGER = "trigger"
    DECIDED = "decided"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row. ``at`` is in POSIX seconds, ``attempt`` counts from 1 (0 for the run's own events)."""

    phase: Phase
    at: float
    graph: Graph = Graph.PLAN
    step: str = ""
    attempt: int = 0
    data: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as the journal lists it. ``token`` is the fencing token of its present owner."""

    run: str
    name: str
    plan_digest: str
    created: float
    token: int
    owner: JsonObject


class JournalStore(Protocol):
    """A journal backend. Every write is durable when it returns; every write for a run is conditional on
    the fencing token and raises LeaseLost if another process has taken the run over since."""

    def create(self, run: str, plan: CompiledPlan, owner: JsonObject, started: Event) -> int:
        """A new run of a plan with its first event. Returns its first fencing token."""
        ...

    def take_over(self, run: str, owner: JsonObject) -> int:
        """Own an existing run. Returns the new, higher token. Raises KeyError."""
        ...

    def keep_graph(self, run: str, token: int, graph: CompiledPlan) -> None:
        """Keep a compiled graph (the rollback's) so that a later process can go on with it."""
        ...

    def append(self, run: str, token: int, event: Event, dead: Sequence[DeadLetter] = ()) -> None:
        """Add an event, and in the same transaction the dead letters of its step."""
        ...

    def runs(self) -> list[RunRow]:
        """All runs, oldest first."""
        ...

    def row(self, run: str) -> RunRow:
        """One run. Raises KeyError."""
        ...

    def events(self, run: str) -> list[Event]:
        """A run's events in order."""
        ...

    def graph(self, digest: str) -> CompiledPlan:
        """A kept graph by its digest. Raises KeyError."""
        ...

    def dead_letters(self, run: str, step: str) -> list[DeadLetter]:
        """A step's dead letters, by position."""
        ...

    def is_dead(self, run: str, step: str, key: str) -> bool:
        """Whether the record of that key is among a step's dead letters."""
        ...

    def undo_log(self, run: str, token: int, step: str) -> UndoLog:
        """The undo log of a step, for stores that cannot hold one."""
        ...

    def drop_undo(self, run: str) -> None:
        """Forget a run's undo logs."""
        ...

    def close(self) -> None: ...
