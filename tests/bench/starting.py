"""How long the command takes to say what it can do."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measuring import Bench, Row, Timing

ROOT = Path(__file__).parents[2]


def _seconds(arguments: Sequence[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - begun


def start(bench: Bench) -> list[Row]:
    """``plan --help`` against ``python -c pass``."""
    cases = {"pass": ["-c", "pass"], "help": ["-m", "executor.cli.root", "--help"]}
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(2 * bench.repetitions + 1):
        for name, arguments in cases.items():
            seconds[name].append(_seconds(arguments))
    empty, helped = Timing(seconds["pass"]), Timing(seconds["help"])
    return [
        Row(
            "plan --help against python -c pass",
            f"{helped.median * 1000:.0f} ms, {empty.median * 1000:.0f} ms",
        )
    ]
