"""Named places where a test can kill the process, to prove that nothing is lost there.

``FORDWAY_CRASH_AT=name`` or ``name:n`` (the n-th time, from 1) kills with SIGKILL, as power loss of
this process would. Without the variable, :func:`reach` costs one comparison.
"""

from __future__ import annotations

import os
import signal
import threading

POINTS = (
    "run.created",
    "step.before-intent",
    "step.after-intent",
    "step.after-effect",
    "step.after-outcome",
    "bulk.after-manifest",
    "bulk.after-vectors",
    "bulk.after-write",
    "bulk.after-checkpoint",
    "rollback.decided",
    "undo.after-mark",
    "undo.after-batch",
    "run.before-end",
)

_armed, _, _nth = os.environ.get("FORDWAY_CRASH_AT", "").partition(":")
_left = int(_nth or 1)
_lock = threading.Lock()


def reach(point: str) -> None:
    """Die here if a test asked for it. ``point`` is one of :data:`POINTS`."""
    global _left
    if point != _armed:
        return
    with _lock:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
