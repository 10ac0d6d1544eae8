"""'plan compile', 'plan graph' and 'plan explain' as users call them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent.name for path in (ROOT / "plans").glob("*/plan.yaml"))


def plan(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "executor.cli.root", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"},
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_compile(name: str, tmp_path: Path) -> None:
    """Every example compiles without a word of complaint, twice to the same bytes."""
    first, second = tmp_path / "1.compiled.json", tmp_path / "2.compiled.json"
    for output in (first, second):
        done = plan("compile", f"plans/{name}/plan.yaml", "-o", str(output))
        assert (done.returncode, done.stderr) == (0, "")
    assert first.read_bytes() == second.read_bytes()


def test_json_document(tmp_path: Path) -> None:
    """--json prints one document with everything that a machine wants to know."""
    output = tmp_path / "x.compiled.json"
    done = plan("compile", "plans/quickstart/plan.yaml", "--json", "-o", str(output))
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert document["digest"] == json.loads(output.read_text())["digest"]
    assert document["plan"] == "quickstart"
    assert document["output"] == str(output)
    assert 0 < document["estimate"]["low"] <= document["estimate"]["likely"] <= document["estimate"]["high"]
    order = [step["id"] for step in document["steps"]]
    assert all(order.index(a) < order.index(b) for a, b in document["edges"])
    assert set(document["criticalPath"]) <= set(order)
    assert document["diagnostics"] == []


BROKEN = """\
apiVersion: plan/v1
kind: MigrationPlan
metadata: {name: broken}
variables: {unset: {type: string}}
stores:
  a: {type: mongodb, uri: "mongodb://localhost", database: a}
rollbackStrategy: ./missing.yaml
phases:
  - id: one
    tasks:
      - id: x
        prerequisites: [y]
        action: {command: {run: [true], undo: [true]}}
      - id: y
        prerequisites: [x, zz]
        action: {bulk: {source: b.c, targets: [a.d], batchSize: lots, oops: 1}}
      - id: x
        action: {command: {run: ["${unset}"], undo: ["${nobody}"]}}
"""


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """A file with many faults is refused with all of them, each at its place, exit 3, nothing written."""
    (tmp_path / "plan.yaml").write_text(BROKEN)
    done = plan("compile", "plan.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 3
    document = json.loads(done.stdout)
    told = {(item["code"], item["line"]) for item in document["diagnostics"]}
    assert {
        ("unset-variable", 4),
        ("missing-file", 7),
        ("cycle", 12),
        ("unknown-prerequisite", 15),
        ("unknown-store", 16),
        ("wrong-type", 16),
        ("unknown-key", 16),
        ("duplicate-id", 17),
        ("unknown-variable", 18),
    } <= told, sorted(told)
    assert all(item["file"] == "plan.yaml" for item in document["diagnostics"])
    assert document["digest"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("form", ["text", "mermaid", "dot", "svg"])
def test_graphs(form: str) -> None:
    """Plan and way back are drawn in every format."""
    for extra in ([], ["--rollback"], ["--if-fails", "verify-notes"]):
        done = plan("graph", "plans/quickstart/plan.yaml", "--format", form, *extra)
        assert done.returncode == 0, done.stderr
        assert "copy-notes" in done.stdout


def test_graph_of_an_unknown_step() -> None:
    """A misspelt step gets a hint."""
    done = plan("graph", "plans/quickstart/plan.yaml", "--if-fails", "verify-note")
    assert done.returncode == 2
    assert "Did you mean 'verify-notes'?" in done.stderr


def test_explain() -> None:
    """Codes are explained; unknown ones refused with the nearest."""
    assert "undo" in plan("explain", "no-inverse").stdout
    done = plan("explain", "no-inverze")
    assert done.returncode == 2
    assert "no-inverse" in done.stderr


def test_an_edited_compiled_file_is_refused(tmp_path: Path) -> None:
    """A compiled file that was touched after its compile is not drawn and not applied."""
    output = tmp_path / "x.compiled.json"
    plan("compile", "plans/error-threshold/plan.yaml", "-o", str(output))
    output.write_text(output.read_text().replace('"threshold": 2.0', '"threshold": 99.0', 1))
    for command in (["graph"], ["apply", "--yes"]):
        done = plan(*command, str(output), cwd=tmp_path)
        assert done.returncode == 3
        assert "digest does not match" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["compile"], ["compile", "/nowhere/plan.yaml"], ["aply"], ["apply", "--var", "x", "p"]]
)
def test_wrong_use(arguments: list[str], tmp_path: Path) -> None:
    """Wrong use is exit 2, a missing file exit 3, and neither a traceback."""
    done = plan(*arguments, cwd=tmp_path)
    assert done.returncode == (3 if "/nowhere/plan.yaml" in arguments else 2)
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_no_terminal_no_answer(tmp_path: Path) -> None:
    """Apply without --yes and without a terminal waits for nobody."""
    done = plan("apply", str(ROOT / "plans/error-threshold/plan.yaml"), cwd=tmp_path)
    assert done.returncode == 9
    assert "--yes" in done.stderr
