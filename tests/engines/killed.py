"""``python -m tests.engines.killed JSON``: one attempt of a step, in a process that may be killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from compiler.model.plan import StoreSpec
from tests.engines.driving import Drive


def main() -> None:
    """Begin or take over a run, do what is told, and say which run it is."""
    told = json.loads(sys.argv[1])
    specs = {name: StoreSpec(type=kind, options=options) for name, (kind, options) in told["stores"].items()}
    drive = Drive(Path(told["folder"]), specs)
    drive.begin(told.get("run"))
    print(drive.run_id, flush=True)
    if told["act"] == "undo":
        drive.undo(told["params"])
    else:
        drive.run(told["params"])
    drive.close()


if __name__ == "__main__":
    main()
