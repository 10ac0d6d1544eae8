"""A process that outlives the executor for a moment, to end the commands that it left running.

Run as a script by :mod:`executor.processes`, with the executor's process id as its argument. Its
standard input holds lines: ``+GROUP`` (watch this process group) and ``-GROUP`` (it has ended). When
the input ends or the executor is gone, every group still watched is killed. Without it, a command
would go on writing after a ``kill -9`` of its executor, beside the run that takes over; for the same
reason nobody is asked to end in peace: a probe must not look while something still moves.
"""

from __future__ import annotations

import os
import select
import signal
import sys

# The end of the input is not enough: a worker that the executor forked may hold the pipe's other end.
_LOOK = 500  # milliseconds


def signal_group(group: int, number: int) -> bool:
    """Send a signal (0: none) to a process group; False if there is nobody in it to get it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # EPERM, macOS: only zombies are left
        return False
    return True


def watch(parent: int) -> set[int]:
    """Follow the input until it ends or ``parent`` is gone; the groups that were still running."""
    groups: set[int] = set()
    rest = b""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while True:
        if poll.poll(_LOOK):
            chunk = os.read(0, 65536)
            if not chunk:
                return groups
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                group = int(line[1:])
                (groups.add if line[:1] == b"+" else groups.discard)(group)
        elif os.getppid() != parent:
            return groups


if __name__ == "__main__":
    for left in watch(int(sys.argv[1])):
        signal_group(left, signal.SIGKILL)
