"""What the renderers write, letter for letter.

``FORDWAY_REWRITE_EXPECTED=1 pytest tests/compiler/render`` writes the expected files anew; git shows
what changed. SVG is not among them: its coordinates belong to the layout engine's version.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.model.plan import CompiledPlan
from compiler.render import FORMATS

EXPECTED = Path(__file__).parent / "expected"
SUFFIXES = {"text": "txt", "mermaid": "mmd", "dot": "dot"}
RUN = {"load-legacy": "done", "create-content": "done", "copy-notes": "failed", "verify-notes": "pending"}


def compare(name: str, form: str, written: str) -> None:
    path = EXPECTED / f"{name}.{SUFFIXES[form]}"
    if os.environ.get("FORDWAY_REWRITE_EXPECTED"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(written, encoding="utf-8")
    assert written == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_plan(form: str, five_steps: CompiledPlan) -> None:
    """A plan of five steps reads as it did when somebody last looked at it."""
    compare("plan", form, FORMATS[form](five_steps, None))


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_run(form: str, five_steps: CompiledPlan) -> None:
    """The same plan shows where a run of it stands."""
    compare("run", form, FORMATS[form](five_steps, RUN))


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_rollback(form: str, way_back: CompiledPlan) -> None:
    """A rollback shows its probes, guards, manual nodes and checks in order."""
    compare("rollback", form, FORMATS[form](way_back, None))


@pytest.mark.parametrize("form", ("mermaid", "dot"))
def test_sixty_steps(form: str, plan_of: Callable[[int, int], CompiledPlan]) -> None:
    """Sixty steps are drawn one by one, and phases meet in points."""
    compare("sixty", form, FORMATS[form](plan_of(60, 6), None))


@pytest.mark.parametrize("form", ("mermaid", "dot"))
def test_five_thousand_steps(form: str, plan_of: Callable[[int, int], CompiledPlan]) -> None:
    """Five thousand steps are drawn by phases, and the caption says so."""
    compare("thousands", form, FORMATS[form](plan_of(5000, 12), None))
