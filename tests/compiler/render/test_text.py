"""The text that people review before they approve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from compiler.model.plan import CompiledPlan, PlanKind, Step, Trigger
from compiler.model.run import StepState, StepStatus
from compiler.render import FORMATS
from compiler.render.text import lines
from compiler.rollback.derive import derive


def test_what_cannot_be_undone_comes_first(five_steps: CompiledPlan) -> None:
    """Irreversible steps and pivots stand before every phase."""
    text = FORMATS["text"](five_steps, None)
    first = text.index("IRREVERSIBLE  drop-legacy")
    assert first < text.index("PIVOT         drop-legacy") < text.index("Phase 1 of 3")


def test_a_step_without_an_inverse_is_never_passed_over(five_steps: CompiledPlan) -> None:
    """A step that has neither an inverse nor a reason is told as irreversible."""
    copy = replace(five_steps.step("copy-notes"), inverse=None)
    steps = tuple(copy if step.id == copy.id else step for step in five_steps.steps)
    text = FORMATS["text"](replace(five_steps, steps=steps), None)
    assert "IRREVERSIBLE  copy-notes: the plan has no inverse for it" in text


def test_credentials_are_not_shown(five_steps: CompiledPlan) -> None:
    """A password in a store's address does not reach the text, a secret's name does."""
    text = FORMATS["text"](five_steps, None)
    assert "s3cret" not in text
    assert "mongodb://…@db.example:27017" in text
    assert "$MONGO_URI" in text


def test_barriers_are_no_steps(five_steps: CompiledPlan) -> None:
    """Barriers are neither listed nor counted."""
    text = FORMATS["text"](five_steps, None)
    assert "5 steps in 3 phases" in text
    assert "preparation/end" not in text


def test_many_prerequisites_are_counted(plan_of: Callable[[int, int], CompiledPlan]) -> None:
    """A step behind a barrier of hundreds of steps does not list them."""
    plan = plan_of(600, 2)
    loose = replace(plan, phases=tuple(replace(phase, dependencies=()) for phase in plan.phases))
    assert "after all steps of phase phase-00" in FORMATS["text"](loose, None)
    assert "after all steps" not in FORMATS["text"](plan, None)  # the phase's title says it already


def test_every_step_of_a_large_plan_is_there(plan_of: Callable[[int, int], CompiledPlan]) -> None:
    """Text leaves no step out, however many there are; the critical path is cut in its middle."""
    text = FORMATS["text"](plan_of(5000, 40), None)
    assert text.count("copy legacy.part") == 5000
    assert "(136 steps more)" in text


def test_steps_of_no_phase_are_shown() -> None:
    """A step outside of the phases, such as a success criterion, is not lost."""
    plan = CompiledPlan(name="p", kind=PlanKind.PLAN, format=1, steps=(Step(id="all-well", kind="new-kind"),))
    assert "all-well" in FORMATS["text"](plan, None)


def test_lines_are_styled_for_a_terminal(five_steps: CompiledPlan) -> None:
    """The same text comes in spans, so that a command line can colour what is final and what failed."""
    rows = list(lines(five_steps, {"copy-notes": "failed"}))
    styles = {span.style for row in rows for span in row}
    assert {"title", "heading", "danger", "pivot", "critical", "bad"} <= styles
    joined = "\n".join("".join(span.text for span in row).rstrip() for row in rows) + "\n"
    assert joined == FORMATS["text"](five_steps, {"copy-notes": "failed"})


def test_a_step_in_doubt_is_probed_before_it_is_taken_back(five_steps: CompiledPlan) -> None:
    """Both answers of a probe are shown, the one that a person must act on too, in every format."""
    states = {
        "load-legacy": StepState(status=StepStatus.DONE),
        "copy-notes": StepState(status=StepStatus.INTENDED),
    }
    way_back = derive(five_steps, states)
    text = FORMATS["text"](way_back, None)
    assert "only if probe:copy-notes found applied or resumable" in text
    assert "only if probe:copy-notes found unknown" in text
    assert text.index("manual:copy-notes") < text.index("Order") < text.index("probe of bulk")
    for form in ("dot", "svg"):
        assert "only if probe:copy-notes found unknown" in FORMATS[form](way_back, None)
    assert "found unknown" in FORMATS["mermaid"](way_back, None)


def test_triggers_in_words(five_steps: CompiledPlan) -> None:
    """A trigger's condition, window and consequence read as a sentence."""
    triggers = (
        Trigger(
            id="rate",
            condition="errorRate > threshold && read >= 100",
            threshold=2.0,
            window=5.0,
            step="copy-notes",
        ),
        Trigger(id="memory", condition="memory", threshold=512.0),
    )
    text = FORMATS["text"](replace(five_steps, triggers=triggers), None)
    assert "when errorRate > 2 % and read >= 100 for 5 s, in step copy-notes: drain and roll back" in text
    assert "when memory > 512 MB: drain and roll back" in text
