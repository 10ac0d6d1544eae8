"""The ports between the run loop, the actions' runners and the stores, and the errors they raise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from compiler.model.plan import JsonObject, Step, StoreSpec, Verdict
from compiler.model.run import Counts


class FordwayError(Exception):
    """A failure that is told to the user in one line, with a hint where there is one.

    ``transient`` failures may be tried again by the step's retry policy; all others stop the step.
    """

    transient: ClassVar[bool] = False
    exit_code: ClassVar[int] = 3
    """What the command ends with if this ends it before a run began (DESIGN's table)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class StepFailed(FordwayError):
    """A step's own failure. ``verdict`` is what is known of its effect: ABSENT if proven that
    there was none, UNKNOWN otherwise (a later probe or a safe inverse deals with it)."""

    def __init__(self, message: str, *, hint: str = "", verdict: Verdict = Verdict.UNKNOWN) -> None:
        super().__init__(message, hint=hint)
        self.verdict = verdict


class StepTransient(StepFailed):
    """A step's failure that may pass by itself."""

    transient = True


class Stale(FordwayError):
    """Files or stores are not what the plan was compiled against. Nothing was written."""

    exit_code = 4


class StoreError(FordwayError):
    """Something is wrong with a store. ``store`` is its name in the plan."""

    exit_code = 4

    def __init__(self, store: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"store '{store}': {message}", hint=hint)
        self.store = store


class StoreUnavailable(StoreError):
    """The store cannot be reached now."""

    transient = True


class StoreRefused(StoreError):
    """The store answered, and said no: wrong credentials, wrong metric, a missing capability."""


class TargetsLocked(FordwayError):
    """Another run holds a target. ``holder`` says who, in words."""

    exit_code = 5

    def __init__(self, target: str, holder: str) -> None:
        super().__init__(
            f"'{target}' is held by {holder}",
            hint="wait for that run to end; a killed run's lease ends by itself within 30 s",
        )
        self.target = target
        self.holder = holder


class LeaseLost(FordwayError):
    """This process no longer owns the run: it must stop without another effect or journal entry."""

    exit_code = 5


class Stopped(Exception):
    """The run asks its steps to stop at the next safe place (drain, cancel). Not a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that could not be moved. ``key`` is canonical extended JSON, ``body`` the original
    bytes (BSON for documents), ``position`` counts the step's records from 0."""

    key: str
    reason: str
    stage: str
    body: bytes
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a runner's work ended well. ``skipped``: there was nothing to do."""

    result: JsonObject = field(default_factory=dict)
    counts: Counts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A manual step that a person must confirm; ``instructions`` are shown."""

    instructions: str


class UndoLog(Protocol):
    """Before-images and manifests of one step's batches, durable before the batch's effect.

    ``entry`` is a BSON document. Entries are numbered by the caller; putting a number again replaces it.
    """

    def put(self, number: int, entry: bytes) -> None: ...

    def newest_first(self) -> Sequence[int]:
        """The numbers that are there, highest first."""
        ...

    def get(self, number: int) -> bytes: ...


class Journal(Protocol):
    """What a running step may write to the journal. Every call is durable when it returns and raises
    LeaseLost if this process no longer owns the run."""

    def checkpoint(self, cursor: JsonObject, counts: Counts, dead: Sequence[DeadLetter] = ()) -> None:
        """``cursor`` and cumulative ``counts`` for the part of the work that is done without a gap;
        ``dead`` are added (a key that is there already is replaced)."""
        ...


class Stores(Protocol):
    """The plan's stores, opened when first asked for and closed by the run."""

    def spec(self, name: str) -> StoreSpec: ...

    def open(self, name: str) -> object:
        """The open store (``executor.stores``). Raises StoreError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a runner gets besides its step.

    ``key`` is the idempotency key of this effect, equal for every attempt. ``base`` is the folder
    that the plan's relative paths start from, ``state`` the state folder (``.plan``), ``folder`` the
    run's own folder in it, for logs and files. ``checkpoint``/``counts`` are the last journalled ones of this
    step, None on a fresh start. ``progress`` tells live cumulative counts to display and triggers.
    ``proceed`` is called before each new effect: it raises Stopped or LeaseLost.
    """

    run: str
    key: str
    attempt: int
    base: Path
    state: Path
    folder: Path
    stores: Stores
    journal: Journal
    undo_log: Callable[[str], UndoLog]
    """The state backend's undo log of a step of this run, for stores that cannot hold one."""
    progress: Callable[[Counts], None]
    proceed: Callable[[], None]
    prepared_of: Callable[[str], JsonObject | None]
    """What another step of this run recorded at its intent, by step id."""
    counts_of: Callable[[str], Counts | None]
    """What another step of this run counted, by step id; None if it has not run in this run."""
    is_dead: Callable[[str, str], bool]
    """Whether a step of this run has a dead letter of that key."""
    checkpoint: JsonObject | None = None
    counts: Counts | None = None
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


class Runner(Protocol):
    """What an action kind does. One instance serves all steps of its kind, from several threads."""

    def prepare(self, step: Step, context: Context) -> JsonObject:
        """Look, without changing anything, at what the step will change. The answer is journalled
        with the intent, so that probe and undo know what was there before."""
        ...

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Outcome | Waiting:
        """Do the step; continue from ``context.checkpoint`` where there is one. Raises FordwayError."""
        ...

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:
        """Find out, without changing anything, whether the step had its effect."""
        ...

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Outcome | Waiting:
        """Take the step back (``step.verb`` is UNDO, ``step.undoes`` names it). May be run again after
        a crash. ``Outcome.result`` may hold ``changedSince``: what others changed and was left alone."""
        ...
