"""The pipeline: one tuple of passes, each from a compilation to a compilation.

The front (load, bind, include, validate) turns files into sound documents; the passes below turn those
into a plan. A pass copes with what the ones before it have complained about, so that one run tells all.
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.compilation import Compilation, Request
from compiler.diagnostics import Collector
from compiler.passes.check import check
from compiler.passes.estimate import estimate
from compiler.passes.expand import expand
from compiler.passes.front import read_documents
from compiler.passes.link import link
from compiler.passes.resolve import resolve
from compiler.passes.seal import seal
from compiler.passes.strategy import strategy
from compiler.passes.undo import undo

PASSES: tuple[Callable[[Compilation], Compilation], ...] = (
    resolve,
    expand,
    strategy,
    link,
    check,
    estimate,
    undo,
    seal,
)


def compile_plan(request: Request, collector: Collector) -> Compilation | None:
    """The compilation of a plan; its ``plan`` is None if the collector holds an error. None if there is no
    plan to speak of."""
    documents = read_documents(request.path, request.files, request.overrides, request.environment, collector)
    if documents is None:
        return None
    compilation = Compilation(request=request, collector=collector, documents=documents)
    for transform in PASSES:
        compilation = transform(compilation)
    return compilation
