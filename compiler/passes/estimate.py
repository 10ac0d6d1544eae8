"""Estimate: when each step starts and ends, how long the whole takes, and what it hangs on."""

from __future__ import annotations

from dataclasses import replace

from compiler.compilation import Compilation
from compiler.schedule import scheduled


def estimate(compilation: Compilation) -> Compilation:
    """Steps with their place in the schedule; the whole duration; the critical path."""
    if compilation.collector.failed:
        return compilation
    steps, total, path = scheduled(compilation.steps, compilation.edges, compilation.policy.max_parallel)
    return replace(compilation, steps=steps, estimate=total, critical_path=path)
