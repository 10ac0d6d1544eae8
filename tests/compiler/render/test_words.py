"""The shared wording, by the examples in its docstrings and by what each action says."""

from __future__ import annotations

import doctest
from collections.abc import Mapping
from types import ModuleType

import pytest

from compiler.model.plan import Inverse, Json, Step, Verb
from compiler.render import dot, label, mermaid, words
from compiler.render.doing import does, way_back

NOTES: Json = {"store": "legacy", "collection": "notes"}
CONTENT: Json = {"store": "documents", "collection": "content"}


@pytest.mark.parametrize("module", (label, words, dot, mermaid), ids=lambda module: module.__name__)
def test_examples(module: ModuleType) -> None:
    """The examples in the docstrings hold."""
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("kind", "params", "said"),
    (
        (
            "bulk",
            {"mode": "copy", "source": NOTES, "records": CONTENT, "where": {"lang": "en"}},
            "copy legacy.notes → documents.content; as they are; only where {lang: en}",
        ),
        ("backup", {"sources": [NOTES, CONTENT], "to": "x"}, "back up legacy.notes, documents.content → x"),
        (
            "restore",
            {"from": "a.bson.gz", "into": NOTES, "existing": "keep"},
            "restore a.bson.gz → legacy.notes; existing: keep",
        ),
        (
            "provision",
            {"collections": [{"target": CONTENT, "indexes": [{}, {}]}]},
            "create documents.content with 2 indexes",
        ),
        (
            "verify",
            {"target": CONTENT, "count": {"equals": 12000}},
            "check that documents.content holds exactly 12,000 records",
        ),
        (
            "verify",
            {"bulk": {"taskId": "copy-notes", "source": NOTES}, "checks": ["counts"], "sample": 100},
            "compare what copy-notes wrote with its source; counts",
        ),
        ("command", {"run": ["echo", "a b"], "shell": False}, "run echo 'a b'"),
        ("command", {"run": "a | b", "shell": True}, "in a shell: a | b"),
        ("script", {"path": "x.py", "args": ["-v"]}, "run x.py -v"),
        ("manual", {"instructions": "Press\nthe button."}, "Press the button."),
        ("health", {"store": "legacy", "within": 30.0}, "wait until store legacy answers, 30 s at most"),
        ("health", {"http": "http://localhost:1/up"}, "wait until http://localhost:1/up answers 200"),
        ("health", {"tcp": "localhost:1"}, "wait until localhost:1 accepts connections"),
        ("health", {"command": ["pg_isready"]}, "wait until this succeeds: pg_isready"),
    ),
)
def test_what_an_action_does(kind: str, params: Mapping[str, Json], said: str) -> None:
    """Each action kind says in one line what it does, from its compiled params."""
    assert does(Step(id="s", kind=kind, params=params)) == said


def test_a_kind_without_words_of_its_own() -> None:
    """An action that is not known here is told by what it reads and writes."""
    step = Step(id="s", kind="streaming", reads=("legacy.notes",), writes=("documents.content",))
    assert does(step) == "legacy.notes → documents.content"


def test_params_of_another_shape_do_not_stop_a_picture() -> None:
    """Params that are not as expected are passed over, not stumbled upon."""
    for kind in ("bulk", "backup", "restore", "provision", "verify", "command", "script", "manual", "health"):
        assert does(Step(id="s", kind=kind, params={"collections": 5, "bulk": [], "count": "x", "run": 3}))


@pytest.mark.parametrize(
    ("step", "said"),
    (
        (Step(id="s", kind="command", irreversible="gone"), "no way back: gone"),
        (Step(id="s", kind="verify", inverse=Inverse(summary="", nothing=True)), "nothing to take back"),
        (Step(id="s", kind="command"), "no inverse"),
        (
            Step(id="s", kind="command", inverse=Inverse(summary="run x", safe_when_absent=True)),
            "run x (safe also where it never ran)",
        ),
        (Step(id="replaced", kind="command", inverse=Inverse(summary="run x")), "by procedure put-back"),
    ),
)
def test_the_way_back_in_words(step: Step, said: str) -> None:
    """What takes a step back, or that nothing does, is said."""
    assert way_back(step, {"replaced": "put-back"}) == said


def test_an_inverse_says_what_it_does() -> None:
    """An inverse's node says how, and which step it takes back unless its id says so already."""
    inverse = Inverse(summary="drop it")
    named = Step(id="undo:make", kind="provision", verb=Verb.UNDO, undoes="make", inverse=inverse)
    other = Step(id="u1", kind="provision", verb=Verb.UNDO, undoes="make", inverse=inverse)
    assert (does(named), does(other)) == ("drop it", "take back make: drop it")


def test_a_probe_asks() -> None:
    """A probe's node names the step that it asks about."""
    step = Step(id="probe:copy", kind="bulk", verb=Verb.PROBE, undoes="copy")
    assert does(step) == "find out whether copy had its effect"
