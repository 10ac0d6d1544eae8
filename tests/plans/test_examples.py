"""The example plans compile as they stand, without a word of complaint."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.driver import compile_file
from compiler.model.plan import CompiledPlan, Verb

PLANS = Path(__file__).parents[2] / "plans"
EXAMPLES = sorted(
    path for path in PLANS.glob("*/*.yaml") if "\nkind: MigrationPlan\n" in path.read_text("utf-8")
)


def compiled(path: Path) -> CompiledPlan:
    """The plan, compiled without any environment; it must be without diagnostics."""
    result = compile_file(path)
    assert result.text == ""
    assert result.diagnostics == ()
    assert result.plan is not None
    return result.plan


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(PLANS)))
def test_every_example_compiles_without_a_diagnostic(path: Path) -> None:
    """No error, no warning, a sealed plan, and a way back from every step."""
    plan = compiled(path)

    assert plan.digest.startswith("sha256:")
    assert plan.steps
    assert all(step.inverse is not None for step in plan.steps if step.verb is Verb.RUN)


@pytest.mark.parametrize(
    "path", sorted(PLANS.glob("*/*.yaml")), ids=lambda path: str(path.relative_to(PLANS))
)
def test_every_document_names_its_schema(path: Path) -> None:
    """The first line tells editors which schema holds, and that schema is where it says."""
    first = path.read_text("utf-8").splitlines()[0]
    mark = "# yaml-language-server: $schema="

    assert first.startswith(mark)
    assert (path.parent / first.removeprefix(mark)).is_file()


def test_the_examples_are_found() -> None:
    """The quickstart, the copy, and the failing migration with its seed."""
    assert [str(path.relative_to(PLANS)) for path in EXAMPLES] == [
        "copy/plan.yaml",
        "error-threshold/plan.yaml",
        "error-threshold/seed.yaml",
        "quickstart/plan.yaml",
    ]


def test_the_error_threshold_is_compiled_into_a_trigger() -> None:
    """The failing example writes no trigger: its copy's errorThreshold is one, at 2 per cent."""
    [trigger] = compiled(PLANS / "error-threshold/plan.yaml").triggers

    assert (trigger.step, trigger.threshold, trigger.automated) == ("copy-invoices", 2, True)


def test_the_copy_keeps_its_addresses_out_of_the_plan() -> None:
    """A URI that the environment gives stands in the compiled plan as its variable's name alone."""
    stores = compiled(PLANS / "copy/plan.yaml").stores

    assert stores["old"].options["uri"] == {"fromEnv": "SOURCE_URI"}
    assert stores["new"].options["uri"] == {"fromEnv": "TARGET_URI"}
