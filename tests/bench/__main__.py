"""``python -m tests.bench [--quick] [--only NAME …]``: prints ratios, fails nothing."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.bench import copying, memory, starting, unifying
from tests.bench.measuring import Bench, Row, render


def main() -> int:
    """Run the chosen measurements and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the data, two repetitions")
    parser.add_argument(
        "--only", nargs="*", default=[], help="copy, transform, vectors, unified, memory, start"
    )
    parser.add_argument("--repetitions", type=int, default=0)
    chosen = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="fordway-bench-") as folder:
        bench = Bench(
            Path(folder),
            scale=0.2 if chosen.quick else 1.0,
            repetitions=chosen.repetitions or (2 if chosen.quick else 5),
        )
        try:
            for name, measure in (
                ("copy", copying.copies),
                ("transform", copying.transforms),
                ("vectors", unifying.vectors),
                ("unified", unifying.unified),
                ("memory", memory.resident),
                ("start", starting.start),
            ):
                if not chosen.only or name in chosen.only:
                    print(f"{name} …", file=sys.stderr)
                    rows.extend(measure(bench))
        finally:
            bench.close()
    print(render(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
