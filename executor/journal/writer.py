"""The part of the journal that one running step may write to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from compiler.model.codec import to_json
from compiler.model.plan import JsonObject
from compiler.model.run import Counts
from executor.clock import Clock
from executor.contract import DeadLetter
from executor.crashpoints import reach
from executor.journal.events import Event, Graph, JournalStore, Phase


class StepJournal:
    """A :class:`~executor.contract.Journal` for one attempt of one step."""

    def __init__(
        self,
        journal: JournalStore,
        run: str,
        token: int,
        graph: Graph,
        step: str,
        attempt: int,
        clock: Clock,
        kept: Callable[[str, Event], None],
    ) -> None:
        self._journal, self._run, self._token = journal, run, token
        self._graph, self._step, self._attempt = graph, step, attempt
        self._clock, self._kept = clock, kept

    def checkpoint(self, cursor: JsonObject, counts: Counts, dead: Sequence[DeadLetter] = ()) -> None:
        """See :meth:`executor.contract.Journal.checkpoint`."""
        event = Event(
            phase=Phase.CHECKPOINT,
            at=self._clock.now(),
            graph=self._graph,
            step=self._step,
            attempt=self._attempt,
            data={"cursor": cursor, "counts": to_json(counts)},
        )
        self._journal.append(self._run, self._token, event, dead)
        self._kept(self._step, event)
        reach("bulk.after-checkpoint")
