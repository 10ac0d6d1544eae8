"""What all measurements share: the stores, interleaved repetitions, the table."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo

from compiler.model.plan import JsonObject, StoreSpec
from compiler.model.run import Counts
from executor.stores.mongodb import embedded
from tests.engines.driving import Drive

Document = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the table. ``least`` is what the ratio should reach, empty where it is only told."""

    what: str
    figure: str
    least: str = ""


@dataclass(frozen=True)
class Timing:
    """Seconds of each repetition."""

    seconds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


class Bench:
    """A mongod of its own and folders of its own, for as long as the measurements last."""

    def __init__(self, folder: Path, *, scale: float, repetitions: int) -> None:
        self.folder, self.scale, self.repetitions = folder, scale, repetitions
        self._member = embedded.join("bench", folder / "state")
        self.client: pymongo.MongoClient[Document] = pymongo.MongoClient(
            self._member.uri, w="majority", journal=True
        )
        self.database = self.client["bench"]

    def close(self) -> None:
        self.client.close()
        self._member.release()

    def drive(self) -> Drive:
        """A project with the stores ``m`` (the database ``bench``) and ``v`` (a new folder)."""
        folder = self.folder / uuid.uuid4().hex[:8]
        return Drive(
            folder,
            {
                "m": StoreSpec(type="mongodb", options={"uri": self._member.uri, "database": "bench"}),
                "v": StoreSpec(type="chromadb", options={"path": "chroma"}),
            },
        )

    def step(self, params: JsonObject, check: Callable[[Counts], bool]) -> Callable[[], float]:
        """A whole bulk step, with manifests, checkpoints in the journal, hashes and the counts at its end;
        returns its seconds. What comes before (opening stores) and after is not timed."""

        def run() -> float:
            drive = self.drive()
            try:
                drive.begin()
                drive.records.ping()
                if params.get("vectors") is not None:
                    drive.vectors.ping()
                begun = time.perf_counter()
                counts = drive.counts(params)
                seconds = time.perf_counter() - begun
                assert check(counts), counts
                return seconds
            finally:
                drive.records.drop_undo(drive.run_id)
                drive.close()

        return run

    def interleaved(
        self, cases: Mapping[str, Callable[[], float]], before: Callable[[], None]
    ) -> dict[str, Timing]:
        """Each case in turn, over and over, so that a busy moment does not fall on one of them."""
        seconds: dict[str, list[float]] = {name: [] for name in cases}
        for case in cases.values():  # once to warm up
            before()
            case()
        for _ in range(self.repetitions):
            for name, case in cases.items():
                before()
                seconds[name].append(case())
        return {name: Timing(values) for name, values in seconds.items()}


def timed(work: Callable[[], None]) -> Callable[[], float]:
    """The seconds of a piece of work."""

    def run() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return run


def ratio(base: Timing, ours: Timing) -> str:
    """How many times faster than the base, with the medians and the spread of ours."""
    spread = f"{min(ours.seconds):.2f}–{max(ours.seconds):.2f}"
    return f"{base.median / ours.median:.2f}  ({ours.median:.2f} s [{spread}] against {base.median:.2f} s)"


def render(rows: Sequence[Row]) -> str:
    """The table."""
    width = max((len(row.what) for row in rows), default=0)
    return "\n".join(
        f"{row.what:<{width}}  {row.figure}" + (f"   (at least {row.least})" if row.least else "")
        for row in rows
    )
