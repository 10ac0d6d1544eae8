"""Compiled plans and rollbacks for people: text, Mermaid, DOT, SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from compiler.model.plan import CompiledPlan
from compiler.render import dot, mermaid, svg, text
from compiler.render.svg import CannotDraw

__all__ = ["FORMATS", "CannotDraw", "Render"]

Render = Callable[[CompiledPlan, Mapping[str, str] | None], str]

FORMATS: Mapping[str, Render] = {
    "text": text.render,
    "mermaid": mermaid.render,
    "dot": dot.render,
    "svg": svg.render,
}
"""Name of a format → what writes a plan in it, given a word for the status of each step of a run (or
None). The result ends in a newline. Only ``svg`` can fail: with :class:`CannotDraw`."""
