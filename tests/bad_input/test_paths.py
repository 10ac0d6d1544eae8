"""Plans that refer to files which they have no business with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compiler.diagnostics import Collector, render_all
from compiler.passes.front import read_documents
from compiler.source.files import DiskFiles, project_root

PLAN = """apiVersion: plan/v1
kind: MigrationPlan
metadata: {{name: small}}
stores:
  a: {{type: mongodb, uri: "embedded:a", database: a}}
rollbackStrategy: {strategy}
phases:
  - id: copy
    tasks:
      - id: copy
        action: {{bulk: {{source: a.b, targets: [a.c], transform: {transform}}}}}
"""
STRATEGY = "apiVersion: plan/v1\nkind: RollbackStrategy\n"
TRANSFORM = "apiVersion: plan/v1\nkind: Transform\n"


def told(plan: Path, strategy: str, transform: str) -> tuple[list[str], str]:
    """The codes that a plan with these references earns, and their text."""
    plan.write_text(PLAN.format(strategy=strategy, transform=transform))
    collector = Collector()
    files = DiskFiles(project_root(plan), start=plan.parent)
    read_documents(plan.name, files, {}, {}, collector)
    return [item.code for item in collector.diagnostics], render_all(collector.diagnostics, collector.sources)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A git project with a folder for plans; beside it something secret."""
    plans = tmp_path / "project" / "plans"
    plans.mkdir(parents=True)
    (tmp_path / "project" / ".git").mkdir()
    (tmp_path / "project" / "shared.yaml").write_text(TRANSFORM)
    (plans / "rollback.yaml").write_text(STRATEGY)
    (tmp_path / "secret.yaml").write_text("password: hunter2\n")
    return plans


def test_a_file_of_the_same_project_may_lie_above_the_plan(project: Path) -> None:
    """Several plans may share a transform."""
    assert told(project / "plan.yaml", "./rollback.yaml", "../shared.yaml") == ([], "")


@pytest.mark.parametrize("reference", ["../../secret.yaml", "./../../secret.yaml", "x/../../../secret.yaml"])
def test_a_relative_path_out_of_the_project_is_refused(project: Path, reference: str) -> None:
    """And nothing of the file is shown."""
    codes, text = told(project / "plan.yaml", "./rollback.yaml", reference)
    assert codes == ["path-outside"] and "hunter2" not in text


def test_an_absolute_path_is_refused(project: Path) -> None:
    """Even to something harmless."""
    codes, _ = told(project / "plan.yaml", "/etc/hostname", str(project.parent / "shared.yaml"))
    assert codes == ["path-outside", "path-outside"]


def test_a_symbolic_link_out_of_the_project_is_refused(project: Path) -> None:
    """Where a path leads counts, not how it is written."""
    (project / "link.yaml").symlink_to(project.parent.parent / "secret.yaml")
    codes, text = told(project / "plan.yaml", "./link.yaml", "./link.yaml")
    assert codes == ["path-outside", "path-outside"] and "hunter2" not in text


def test_a_pipe_is_not_waited_for(project: Path) -> None:
    """A named pipe in the place of a file is a diagnostic and not the end of the compile."""
    os.mkfifo(project / "pipe.yaml")
    assert told(project / "plan.yaml", "./rollback.yaml", "./pipe.yaml")[0] == ["unreadable-file"]


@pytest.mark.parametrize(
    "reference", ['"a\\0b"', '"' + "x" * 500 + '"', '"https://example.org/t.yaml"', '"~/x"', '"."']
)
def test_a_strange_path_is_a_diagnostic(project: Path, reference: str) -> None:
    """No path is more than a path: no URL is fetched, no home folder looked up."""
    codes, _ = told(project / "plan.yaml", "./rollback.yaml", reference)
    assert codes in (["missing-file"], ["unreadable-file"])


def test_a_plan_cannot_include_itself_as_something_else(project: Path) -> None:
    """Its kind gives it away."""
    codes, _ = told(project / "plan.yaml", "./plan.yaml", "./rollback.yaml")
    assert codes == ["wrong-kind", "wrong-kind"]


@pytest.mark.parametrize("name", ["nothing.yaml", ".", "../../secret.yaml"])
def test_a_plan_that_cannot_be_read_is_told_without_a_place(project: Path, name: str) -> None:
    """The command line is in no file."""
    collector = Collector()
    found = read_documents(name, DiskFiles(project_root(project / "x"), start=project), {}, {}, collector)
    assert found is None
    assert [item.span for item in collector.diagnostics] == [None]
