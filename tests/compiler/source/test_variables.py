"""Variables: where their values come from and where they go."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from compiler.diagnostics import Collector
from compiler.model.plan import Json
from compiler.passes.bind import bind
from compiler.source.documents import Document, Documents
from compiler.source.read import read_yaml
from compiler.source.tree import MappingNode


def bound(
    text: str, overrides: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Documents, Collector]:
    """A plan with its variables bound."""
    collector = Collector()
    root = read_yaml(text.encode(), "plan.yaml", collector)
    assert isinstance(root, MappingNode)
    documents = Documents(plan=Document(file="plan.yaml", root=root))
    return bind(documents, overrides or {}, environment or {}, collector), collector


def value(text: str, variables: str = "{n: 5, f: 1.5, b: true, s: x, e: ''}") -> Json:
    """What ``v`` is after binding."""
    documents, collector = bound(f"variables: {variables}\nv: {text}\n")
    assert not collector.failed
    return documents.plan.root.plain()["v"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${n}", 5),
        ("${f}", 1.5),
        ("${b}", True),
        ("${s}", "x"),
        ('"${n}"', 5),
        ("a-${n}-${b}-${s}", "a-5-true-x"),
        ("${n}${n}", "55"),
        ("${e}${n}", "5"),
        ("$${n}", "${n}"),
        ("$$${n}", "$${n}"),
        ("a $ {n} $n {{ n }}", "a $ {n} $n {{ n }}"),
        ("'${{ n }}'", "${{ n }}"),
        ("|\n  one ${n}\n  two ${s}\n", "one 5\ntwo x\n"),
        ("['${n}', {k: '${s}'}]", [5, {"k": "x"}]),
    ],
)
def test_references_are_replaced_in_texts(text: str, expected: Json) -> None:
    """Alone a reference keeps the variable's type; inside a text it becomes part of the text."""
    assert value(text) == expected


def test_the_command_line_goes_before_the_environment_and_that_before_the_default() -> None:
    """Three sources, one order."""
    text = "variables: {v: {type: string, default: default, env: V}}\nx: ${v}\n"
    given = [({}, {}), ({}, {"V": "environment"}), ({"v": "override"}, {"V": "environment"})]
    found = [bound(text, overrides, environment)[0].plan.root.text("x") for overrides, environment in given]
    assert found == ["default", "environment", "override"]


def test_only_a_variable_that_names_an_env_reads_the_environment() -> None:
    """The environment of whoever compiles must not leak into plans by accident."""
    documents, _ = bound("variables: {HOME: here}\nx: ${HOME}\n", environment={"HOME": "/root"})
    assert documents.plan.root.text("x") == "here"


@pytest.mark.parametrize(
    ("declaration", "given", "expected"),
    [
        ("5", "7", 7),
        ("1.5", "7", 7),
        ("true", "false", False),
        ("x", "7", "7"),
        ("{type: string}", "007", "007"),
        ("{type: integer}", "7", 7),
        ("{type: number}", "7.5", 7.5),
        ("{type: boolean}", "true", True),
        ("null", "7", "7"),
    ],
)
def test_a_value_from_outside_is_read_as_the_variables_type(
    declaration: str, given: str, expected: Json
) -> None:
    """The declared type counts, else that of the default, else text."""
    documents, collector = bound(f"variables: {{v: {declaration}}}\nx: ${{v}}\n", {"v": given})
    assert not collector.failed
    assert documents.plan.root.plain()["x"] == expected


@pytest.mark.parametrize(
    ("declaration", "given"),
    [
        ("5", "x"),
        ("5", "1.5"),
        ("{type: boolean}", "yes"),
        ("{type: number}", ".nan"),
        ("5", "9" * 30),
        ("s", "\udc80"),
    ],
)
def test_a_value_of_another_type_is_a_diagnostic_that_does_not_show_it(declaration: str, given: str) -> None:
    """What comes from outside may be a secret."""
    _, collector = bound(f"variables: {{v: {declaration}}}\nx: ${{v}}\n", {"v": given})
    [found] = collector.diagnostics
    assert found.code == "variable-type"
    assert len(given) == 1 or given not in found.detail


def test_the_place_of_a_reference_is_its_own_column() -> None:
    """In a text of several lines too, and with escapes before it."""
    text = "x: 'one $${two} ${three}'\ny: |\n  four\n  five ${six} ${seven}\n"
    _, collector = bound(text)
    places = [(item.span.line, item.span.column) for item in collector.diagnostics if item.span]
    assert places == [(1, 17), (4, 8), (4, 15)]


def test_an_aliased_text_is_replaced_once_and_stays_shared() -> None:
    """One fault of a repeated node is told once."""
    documents, collector = bound("variables: {n: 5}\na: &a ['${n}', '${m}']\nb: *a\n")
    root = documents.plan.root
    assert root.get("a") is root.get("b")
    assert [item.code for item in collector.diagnostics] == ["unknown-variable"]


def test_secret_references_are_left_alone() -> None:
    """{fromEnv: NAME} is no variable and is not resolved by a compile."""
    documents, _ = bound("uri: {fromEnv: HOME}\n", environment={"HOME": "/root"})
    assert documents.plan.root.plain() == {"uri": {"fromEnv": "HOME"}}


def test_a_plan_without_references_comes_back_itself() -> None:
    """Nothing is copied for nothing."""
    collector = Collector()
    root = read_yaml(b"a: [1, {b: c}]\n", "plan.yaml", collector)
    assert isinstance(root, MappingNode)
    documents = bind(Documents(plan=Document(file="plan.yaml", root=root)), {}, {}, collector)
    assert documents.plan.root is root


def test_variables_cannot_multiply_a_document_without_end() -> None:
    """A long value in many places is stopped at the size that a document may have."""
    long = "x" * 100_000
    lines = "\n".join(f"k{n}: '${{v}}!'" for n in range(1000))
    documents, collector = bound(f"variables: {{v: {long}}}\n{lines}\n")
    assert {item.code for item in collector.diagnostics} == {"too-many-values"}
    assert len(str(documents.plan.root.plain())) < 20_000_000


def test_aliases_cannot_multiply_a_long_value_either() -> None:
    """An alias of a text with a variable costs what the text costs."""
    long = "x" * 1_000_000
    text = f"variables: {{v: {long}}}\na: &a ['${{v}}!']\nb: [{', '.join(['*a'] * 100)}]\n"
    documents, collector = bound(text)
    assert {item.code for item in collector.diagnostics} == {"too-many-values"}
    assert len(str(documents.plan.root.plain())) < 20_000_000
