"""Graphs written out for people and machines, each file complete or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from compiler.driver import CannotDraw, render
from compiler.model.codec import dump_plan
from compiler.model.plan import CompiledPlan

RENDERED = {"text": "txt", "mermaid": "mmd", "dot": "dot", "svg": "svg"}


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def emit_graph(graph: CompiledPlan, folder: Path, name: str, told: Callable[[str], None]) -> Path:
    """Write ``name.compiled.json`` and its renderings. Returns the path of the JSON.

    A picture that cannot be drawn is told and left out: it must not hold a rollback back.
    """
    path = folder / f"{name}.compiled.json"
    write_atomically(path, dump_plan(graph))
    for kind, suffix in RENDERED.items():
        try:
            write_atomically(folder / f"{name}.{suffix}", render(graph, kind).encode())
        except CannotDraw as error:
            told(f"{name}.{suffix} was not drawn: {error}")
    return path
