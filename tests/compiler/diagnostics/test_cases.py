"""Every code with a document that earns it and the exact text that a user then reads.

A case is a folder named after its code, with ``plan.yaml``, whatever it includes, and ``expected.txt``.
``case.json`` may give ``vars`` (as --var), ``env``, ``pad`` (so many bytes of comment are appended) and
``through: compile`` (for codes of the passes behind the front end). After a change of words run the tests
with FORDWAY_ACCEPT=1, and read the differences before committing them.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from compiler.compilation import Request
from compiler.diagnostics import CATALOGUE, Collector, render_all
from compiler.diagnostics.codes import bind, load, source, validate
from compiler.passes.front import read_documents
from compiler.pipeline import compile_plan
from compiler.source.files import DiskFiles

CASES = Path(__file__).parent / "cases"
FRONT = [entry.code for module in (source, load, bind, validate) for entry in module.CODES]


def diagnosed(folder: Path, scratch: Path) -> Collector:
    """What a case's plan is told."""
    work = scratch / folder.name
    shutil.copytree(folder, work)
    given = json.loads((work / "case.json").read_text()) if (work / "case.json").exists() else {}
    if "pad" in given:
        with (work / "plan.yaml").open("ab") as file:
            file.write(b"#" * given["pad"])
    files = DiskFiles(work, start=work)
    collector = Collector()
    overrides, environment = given.get("vars", {}), given.get("env", {})
    if given.get("through") == "compile":
        request = Request(path="plan.yaml", files=files, overrides=overrides, environment=environment)
        compile_plan(request, collector)
    else:
        read_documents("plan.yaml", files, overrides, environment, collector)
    return collector


@pytest.mark.parametrize("folder", sorted(CASES.iterdir()), ids=lambda folder: folder.name)
def test_a_case_is_told_in_exactly_these_words(folder: Path, tmp_path: Path) -> None:
    """The rendered diagnostics of a case are its expected.txt, and its code is among them."""
    collector = diagnosed(folder, tmp_path)
    told = render_all(collector.diagnostics, collector.sources)
    expected = folder / "expected.txt"
    if os.environ.get("FORDWAY_ACCEPT") == "1":
        expected.write_text(told, encoding="utf-8")
    assert told == expected.read_text(encoding="utf-8")
    assert folder.name in {item.code for item in collector.diagnostics}


@pytest.mark.parametrize("code", FRONT)
def test_every_code_of_the_front_end_has_a_case(code: str) -> None:
    """A code without a case could never be earned, or its words never be read."""
    assert (CASES / code / "expected.txt").is_file()


@pytest.mark.parametrize("folder", sorted(CASES.iterdir()), ids=lambda folder: folder.name)
def test_a_case_is_told_the_same_as_json(folder: Path, tmp_path: Path) -> None:
    """JSON has the eight fields, lines and columns from 1, and the catalogue's summary."""
    for item in diagnosed(folder, tmp_path).diagnostics:
        told = item.to_json()
        assert list(told) == ["code", "severity", "file", "line", "column", "summary", "detail", "hint"]
        assert told["summary"] == CATALOGUE[item.code].summary
        assert json.loads(json.dumps(told)) == told
        if told["file"] is not None:
            assert isinstance(told["line"], int) and told["line"] >= 1
            assert isinstance(told["column"], int) and told["column"] >= 1
