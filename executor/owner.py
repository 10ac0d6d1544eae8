"""Who owns a run: this process, named so that another one can prove it dead."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

Owner = Mapping[str, str | int]
"""``run``, ``host``, ``pid``, ``started`` (clock ticks after boot), ``boot`` and ``space`` (ids of the
boot and of the process namespace; pids mean nothing across them)."""


def this_process(run: str) -> dict[str, str | int]:
    """This process as the owner of ``run``."""
    return {
        "run": run,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _started(os.getpid()) or 0,
        "boot": _boot(),
        "space": _space(),
    }


def proven_dead(owner: Owner) -> bool:
    """Whether that process certainly no longer runs: same machine, boot and process namespace, and its
    pid is gone or belongs to a younger process. What cannot be proven is False."""
    if not _boot() or (owner.get("host"), owner.get("boot"), owner.get("space")) != (
        socket.gethostname(),
        _boot(),
        _space(),
    ):
        return False
    started = _started(int(owner.get("pid", 0)))
    return started is None or started != owner.get("started")


def in_words(owner: Owner) -> str:
    """``run 20261122-… (pid 42 on host)``."""
    return f"run {owner.get('run')} (pid {owner.get('pid')} on {owner.get('host')})"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)); None if there is no such process, or only a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])
