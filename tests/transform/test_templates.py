"""Templates and conditions: what they see, what they print, and what they cannot do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.contract import FordwayError
from executor.transform.plain import plain_condition, plain_template
from executor.transform.rejection import Rejected
from executor.transform.sandbox import ENVIRONMENT
from executor.transform.templates import (
    compile_condition,
    compile_template,
    jinja_condition,
    jinja_template,
    parse_expression,
)

DOCUMENT: dict[str, object] = {
    "_id": 7,
    "title": "Title",
    "null": None,
    "n": 3,
    "f": 1.5,
    "yes": True,
    "tags": ["a", None, "b"],
    "meta": {"author": {"name": "Ann"}, "items": "field", "_rev": 2},
    "when": datetime(2020, 1, 2, tzinfo=UTC),
    "first-name": "Bo",
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ title }}\n\n{{ n }}", "Title\n\n3"),
        ("[{{ none_such }}{{ null }}{{ meta.none.such }}{{ null.x }}]", "[]"),
        ("{{ meta.author.name|upper }}", "ANN"),
        ("{{ meta.items }} {{ meta.keys }}", "field "),
        ("{{ document['first-name'] }} {{ document.title }}", "Bo Title"),
        ("{{ meta._rev }}{{ _id }}", "27"),
        ("{% for tag in tags %}<{{ tag }}>{% endfor %}", "<a><><b>"),
        ("{% for x in null %}x{% else %}none{% endfor %}", "none"),
        ("{% for k, v in meta.author.items() %}{{ k }}={{ v }}{% endfor %}", "name=Ann"),
        ("{{ tags|reject('none')|join(', ') }}", "a, b"),
        ("{{ tags|join('-') }}", "a--b"),
        ("{{ 'x' if null is none and missing is none else 'y' }}", "x"),
        ("{{ title ~ null ~ n }}", "Title3"),
        ("{{ when.year }}", "2020"),
        ("{{ '%03d'|format(n) }} {{ '%.2f' % f }}", "003 1.50"),
        ("{{ title|replace('t', 'T') }} {{ title.replace('T', '') }}", "TiTle itle"),
        ("{{ ('%s'|format(n)).rjust(4, '0') }}", "0003"),
        (
            "{% set o = namespace(s=0) %}{% for i in [1, 2] %}{% set o.s = o.s + i %}{% endfor %}{{ o.s }}",
            "3",
        ),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(n) }}", "<3>"),
        ("{{ missing|default('d') }}", "d"),
        ("", ""),
        ("no fields", "no fields"),
        ("<{{ '<b>' }}>", "<<b>>"),
    ],
)
def test_render(source: str, text: str) -> None:
    """What a template prints; missing and null print nothing, and nothing is escaped."""
    assert compile_template("x", source)(DOCUMENT) == text


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("title == 'Title'", True),
        ("missing == none", True),
        ("null == missing", True),
        ("missing != 'deleted'", True),
        ("missing is defined", False),
        ("null is defined", True),
        ("n > 2 and not (f >= 2)", True),
        ("n in [1, 2, 3]", True),
        ("'a' in tags", True),
        ("'a' in missing", False),
        ("meta.author.name in ('Ann', 'Bo')", True),
        ("yes", True),
        ("missing or null", False),
        ("tags|length == 3", True),
        ("title.startswith('T')", True),
        ("1 < n < 5", True),
        ("when.year == 2020", True),
    ],
)
def test_condition(source: str, holds: bool) -> None:
    """What is true of a document; missing and null are equal."""
    assert compile_condition(source)(DOCUMENT) is holds


@pytest.mark.parametrize("source", ["missing > 3", "null > 3", "n + missing == 3", "title > 3", "n / 0 == 1"])
def test_condition_that_cannot_be_told(source: str) -> None:
    """A comparison that makes no sense rejects the document; it is neither true nor false."""
    with pytest.raises(Rejected, match=r"^filter: "):
        compile_condition(source)(DOCUMENT)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("{{ a", 1),
        ("x\n{% for %}", 2),
        ("{{ a|explode }}", 1),
        ("\n{% include 'secrets' %}", 2),
        ("{% import 'x' as y %}", 1),
        ("{% extends 'x' %}", 1),
        ("{{ a is odder }}", 1),
        ("{{ titles|random }}", 1),
    ],
)
def test_broken_template(source: str, line: int) -> None:
    """A template that does not parse, or loads another, is told with its line before it is used."""
    with pytest.raises(FordwayError, match=f"line {line}: "):
        compile_template("x", source)


@pytest.mark.parametrize("source", ["a ==", "a b", "a }} {{ b", "", "a|explode", "{% if %}"])
def test_broken_condition(source: str) -> None:
    """A condition that is no expression is told before it is used."""
    with pytest.raises(FordwayError):
        compile_condition(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ title.__class__ }}",
        "{{ title.__class__.__mro__ }}",
        "{{ document.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ self.__init__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ title.format.__globals__ }}",
        "{{ '{0.__class__}'.format(title) }}",
        "{{ '{0.__class__}'.format_map(meta) }}",
        "{{ meta.update({'a': 1}) }}",
        "{{ tags.append(1) }}",
        "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m.__class__ }}",
        "{{ [title]|map(attribute='__class__')|list }}",
        "{{ tags|join(attribute='__class__') }}",
    ],
)
def test_no_way_to_python(source: str) -> None:
    """A template that reaches for Python's insides rejects the document, and changes nothing in it."""
    before = repr(DOCUMENT)
    with pytest.raises(Rejected, match=r"^template: 'x': "):
        compile_template("x", source)(DOCUMENT)
    assert repr(DOCUMENT) == before


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(10**9) %}{% endfor %}",
        "{{ 'x' * 10**9 }}",
        "{{ [1] * 10**9 }}",
        "{{ 10 ** (10 ** 10) }}",
        "{% set ns = namespace(x=3) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        "{% macro f(n) %}{% if n < 40 %}{{ f(n + 1) }}{{ f(n + 1) }}{% endif %}{% endmacro %}{{ f(0) }}",
        "{% for a in range(1000) %}{{ big }}{% endfor %}",
        "{% set x %}{% for a in range(1000) %}{{ big }}{% endfor %}{% endset %}{{ x|length }}",
        "{{ big|replace('x', big) }}",
        "{{ big.replace('x', big) }}",
        "{{ range(99999)|join(big) }}",
        "{{ big.join(range(99999)|map('string')) }}",
        "{{ 'x'.ljust(10**9) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (10**9, 1) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ 'x'|center(10**9) }}",
        "{{ lipsum(10**6) }}",
    ],
)
def test_work_is_bounded(source: str) -> None:
    """A template that would not come to an end, or would fill the memory, is refused or rejects."""
    with pytest.raises((Rejected, FordwayError)):
        compile_template("x", source)({"big": "x" * 100_000})


def test_work_is_counted_anew() -> None:
    """What one document's rendering used up is not missing for the next one's."""
    render = compile_template("x", "{% for a in range(90000) %}{% endfor %}")
    assert [render({}) for _ in range(20)] == [""] * 20


def test_documents_know_nothing_of_each_other() -> None:
    """What a template sets for one document is not there for the next."""
    render = compile_template("x", "{% if a %}{% set b = a %}{% endif %}[{{ a }}{{ b }}]")
    assert [render({"a": 1}), render({}), render({"b": 2})] == ["[11]", "[]", "[2]"]


def test_changes_nothing() -> None:
    """Rendering leaves the document as it was."""
    document = {"tags": [2, 1], "m": {}}
    compile_template("x", "{% set tags = 1 %}{{ document.tags|sort }}{{ m.get('x', 1) }}")(document)
    assert document == {"tags": [2, 1], "m": {}}


NAMES = st.sampled_from(
    [
        "title",
        "null",
        "n",
        "f",
        "yes",
        "tags",
        "meta",
        "when",
        "missing",
        "meta.author",
        "meta.items",
        "meta.author.name",
        "null.x",
        "n.x",
        "meta.none.x",
        "when.year",
        "title.upper",
        "title.__class__",
        "_id",
    ]
)
CONSTANTS = st.sampled_from(["1", "2.5", "'a'", "none", "true", "[1, 3]", "('a', none)", "'Title'", "[n]"])
OPERANDS = NAMES | CONSTANTS
COMPARISONS = st.builds(
    lambda left, operator, right: f"{left} {operator} {right}",
    OPERANDS,
    st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"]),
    OPERANDS,
)
CONDITIONS = st.recursive(
    COMPARISONS | OPERANDS,
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.builds(
            lambda one, word, two: f"({one}) {word} ({two})", inner, st.sampled_from(["and", "or"]), inner
        ),
    ),
    max_leaves=4,
)


def outcome(run: object) -> object:
    """A call's result, or the type of its exception."""
    assert callable(run)
    try:
        return run(DOCUMENT)
    except Exception as error:  # noqa: BLE001 - which one is the question
        return type(error)


@given(CONDITIONS)
def test_plain_conditions_are_jinjas(source: str) -> None:
    """The quick way to a condition's truth and Jinja's own are one."""
    quick = plain_condition(parse_expression(source))
    if quick is not None:
        truth, jinja = outcome(quick), outcome(jinja_condition(parse_expression(source)))
        assert isinstance(truth, type) == isinstance(jinja, type)
        assert truth is jinja if isinstance(truth, type) else bool(truth) is bool(jinja)


@given(st.lists(NAMES.map(lambda name: "{{ " + name + " }}") | st.sampled_from(["text ", "\n", "{# no #}"])))
def test_plain_templates_are_jinjas(pieces: list[str]) -> None:
    """The quick way to a template's text and Jinja's own are one."""
    source = "".join(pieces)
    quick = plain_template(ENVIRONMENT.parse(source))
    assert quick is not None
    assert outcome(quick) == outcome(jinja_template(ENVIRONMENT.parse(source)))
