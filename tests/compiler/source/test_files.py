"""Files of a project, and nothing outside it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from compiler.source.files import (
    DiskFiles,
    FileFault,
    FileMissing,
    FileOutside,
    FileTooLarge,
    locate,
    project_root,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a plan in a folder, and a secret beside the project."""
    root = tmp_path / "project"
    (root / "plans").mkdir(parents=True)
    (root / "plans" / "plan.yaml").write_bytes(b"kind: MigrationPlan\n")
    (tmp_path / "secret").write_bytes(b"hunter2")
    return root


def test_a_file_is_read_and_digested(project: Path) -> None:
    """The content and its SHA-256."""
    files = DiskFiles(project, start=project)
    assert files.read("plans/plan.yaml", 100) == b"kind: MigrationPlan\n"
    assert files.digest("plans/plan.yaml") == "sha256:" + hashlib.sha256(b"kind: MigrationPlan\n").hexdigest()


def test_a_file_over_the_limit_is_not_read(project: Path) -> None:
    """One byte too many is too many; exactly the limit is not."""
    files = DiskFiles(project, start=project)
    assert len(files.read("plans/plan.yaml", 20)) == 20
    with pytest.raises(FileTooLarge):
        files.read("plans/plan.yaml", 19)


@pytest.mark.parametrize("path", ["nothing.yaml", "plans/nothing/x.yaml", "plans/plan.yaml/x"])
def test_a_file_that_is_not_there_is_missing(project: Path, path: str) -> None:
    """Whichever part of the path is missing."""
    with pytest.raises(FileMissing):
        DiskFiles(project, start=project).read(path, 100)


@pytest.mark.parametrize(
    "path", ["../secret", "plans/../../secret", "/etc/passwd", "plans/link", "plans/away/secret"]
)
def test_no_path_leads_out_of_the_project(project: Path, path: str) -> None:
    """Neither '..', nor an absolute path, nor a link to a file or a folder."""
    (project / "plans" / "link").symlink_to(project.parent / "secret")
    (project / "plans" / "away").symlink_to(project.parent)
    files = DiskFiles(project, start=project)
    for use in (lambda: files.read(path, 100), lambda: files.digest(path)):
        with pytest.raises(FileOutside) as caught:
            use()
        assert "hunter2" not in str(caught.value)


def test_a_link_inside_the_project_is_followed(project: Path) -> None:
    """Only where it leads counts."""
    (project / "link.yaml").symlink_to(project / "plans" / "plan.yaml")
    assert DiskFiles(project, start=project).read("link.yaml", 100).startswith(b"kind")


def test_a_folder_a_pipe_and_a_loop_are_faults_and_no_traps(project: Path) -> None:
    """Opening a pipe must not wait for a writer, and a loop of links must end."""
    os.mkfifo(project / "pipe")
    (project / "loop").symlink_to(project / "loop")
    files = DiskFiles(project, start=project)
    for path in ("plans", "pipe", "loop", "a\0b", "x" * 5000):
        with pytest.raises(FileFault):
            files.read(path, 100)


def test_an_absolute_reference_is_refused_even_inside_the_project(project: Path) -> None:
    """A plan must compile wherever it is checked out."""
    with pytest.raises(FileOutside):
        locate("plans", str(project / "plans" / "plan.yaml"))


def test_the_project_is_the_nearest_folder_with_git(project: Path) -> None:
    """Without one it is the plan's own folder; a file named .git (a worktree) counts too."""
    plan = project / "plans" / "plan.yaml"
    assert project_root(plan) == (project / "plans").resolve()
    (project / ".git").write_text("gitdir: elsewhere")
    assert project_root(plan) == project.resolve()
