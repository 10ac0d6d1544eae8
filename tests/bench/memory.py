"""Resident memory of the process that copies, at 10,000 and at 300,000 documents."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from compiler.model.plan import StoreSpec
from tests.bench.copying import TRANSFORM, fill, fresh
from tests.bench.measuring import Bench, Row
from tests.engines.driving import Drive, copy

ROOT = Path(__file__).parents[2]


def resident(bench: Bench) -> list[Row]:
    """The peak of a process that does nothing else; flat if the two are about equal."""
    rows: list[Row] = []
    for name, more in (("copy", {}), ("transform", {"transform": TRANSFORM, "mode": "documents"})):
        peaks: dict[int, float] = {}
        for count in (10_000, 300_000):
            fill(bench, "source", count, 400)
            fresh(bench)()
            uri = bench.database.client.address
            assert uri is not None
            told = {"port": uri[1], "folder": str(bench.folder / f"memory{name}{count}"), "more": more}
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.memory", json.dumps(told)],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            )
            peaks[count] = float(done.stdout)
        small, large = peaks.values()
        rows.append(
            Row(
                f"peak memory, {name}, 10,000 and 300,000 documents",
                f"{small:.0f} MB, {large:.0f} MB ({large / small:.2f})",
            )
        )
    return rows


def _child(told: dict[str, object]) -> None:
    uri = f"mongodb://127.0.0.1:{told['port']}/?directConnection=true"
    drive = Drive(
        Path(str(told["folder"])),
        {"m": StoreSpec(type="mongodb", options={"uri": uri, "database": "bench"})},
    )
    drive.begin()
    more = told["more"]
    assert isinstance(more, dict)
    drive.run(copy(batchSize=None, **more))
    drive.records.drop_undo(drive.run_id)
    drive.close()
    print(_peak())


def _peak() -> float:
    """Peak resident memory of this process in MB. Not getrusage's: that begins with what the parent had when
    it forked, and would be the same whatever happens here."""
    [line] = [item for item in Path("/proc/self/status").read_text().splitlines() if item.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    _child(json.loads(sys.argv[1]))
