"""A tree from YAML events, without recursion and within limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn, Protocol

import yaml

from compiler.diagnostics import Collector, Span
from compiler.source.scalars import NumberRange, resolve
from compiler.source.tree import Entry, MappingNode, Node, Scalar, ScalarNode, SequenceNode

LIMIT_DEPTH = 100
"""How deep mappings and lists may be nested, aliases written out."""
LIMIT_VALUES = 1_000_000
"""How many values a file may mean, aliases written out; a text counts once more per 64 characters."""
LIMIT_ALIASES = 100_000

_NAMES = {int: "a number", float: "a number", bool: "a truth value", type(None): "null"}
_CORE = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}


class TooMuch(Exception):
    """A limit is passed and reported; reading on would be dangerous."""


class _Mark(Protocol):
    """PyYAML's marks, those of libyaml and those of its own reader; they count from 0."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class _Key:
    """A key whose value is yet to come; ``text`` is None for one that cannot be a key."""

    text: str | None
    span: Span
    merge: bool = False


@dataclass(slots=True)
class _Frame:
    """A collection that is still open."""

    start: Span
    mapping: bool
    flow: bool
    anchor: str | None
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    merge: Entry | None = None
    key: _Key | None = None
    """The key whose value comes next."""
    weight: int = 1
    height: int = 1
    last: Span | None = None


class Builder:
    """Takes the events of a stream one by one; ``root`` is the first document's node at the end."""

    def __init__(self, file: str, collector: Collector) -> None:
        self.root: Node | None = None
        self.ended = False
        """Another document begins: what follows is not read."""
        self._file = file
        self._collector = collector
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node | None] = {}
        self._measures: dict[int, tuple[int, int]] = {}
        self._total = 0
        self._aliases = 0

    def take(self, event: yaml.Event) -> None:
        """The next event. Raises TooMuch past a limit."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self.ended = True
            self._report(
                "several-documents",
                self._span(event.start_mark, event.end_mark),
                "another document starts here",
                "Move it to a file of its own.",
            )

    def _span(self, start: _Mark | None, end: _Mark | None) -> Span:
        if start is None or end is None:  # only events that were made by hand have no marks
            return Span.point(self._file)
        return Span(self._file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def _report(self, code: str, span: Span, detail: str, hint: str = "") -> None:
        self._collector.report(code, span, detail, hint)

    def _too_much(self, code: str, span: Span, detail: str) -> NoReturn:
        self._report(code, span, detail)
        raise TooMuch

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        span = self._span(event.start_mark, event.end_mark)
        text: str = event.value
        value: Scalar = text
        quoted = event.style not in (None, "")  # the first is PyYAML's own plain style, the second libyaml's
        broken = False
        if not quoted and event.tag is None:
            try:
                value = resolve(text)
            except NumberRange as error:
                broken = True
                self._report("number-range", span, str(error), "Put quotes around it if it is meant as text.")
        elif event.tag is not None and event.tag != "!":
            value, broken = self._tagged(text, event.tag, span)
        node = ScalarNode(value, span, quoted, broken)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        merge = text == "<<" and not quoted
        self._add(node, 1 + len(text) // 64, 0, merge)

    def _tagged(self, text: str, tag: str, span: Span) -> tuple[Scalar, bool]:
        name = tag.removeprefix(_CORE)
        if tag == name or name not in {"str", *_SCALAR_TAGS}:
            self._foreign_tag(tag, span)
            return text, True
        if name == "str":
            return text, False
        try:
            value = resolve(text)
        except NumberRange as error:
            self._report("number-range", span, str(error))
            return text, True
        fits = isinstance(value, _SCALAR_TAGS[name]) and (name == "bool" or not isinstance(value, bool))
        if not fits:
            self._report("yaml-tag", span, f"the value is not what the tag '!!{name}' says")
            return text, True
        return (float(value), False) if name == "float" and isinstance(value, int) else (value, False)

    def _foreign_tag(self, tag: str, span: Span) -> None:
        shown = f"!!{tag.removeprefix(_CORE)}" if tag.startswith(_CORE) else tag
        self._report(
            "yaml-tag",
            span,
            f"the tag '{shown[:100]}' is not plain data",
            "Remove the tag, or quote the value.",
        )

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        span = self._span(event.start_mark, event.end_mark)
        if event.tag is not None and event.tag not in ("!", _CORE + ("map" if mapping else "seq")):
            self._foreign_tag(event.tag, span)
        if len(self._stack) >= LIMIT_DEPTH:
            self._too_deep(span)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(span, mapping, bool(event.flow_style), event.anchor))

    def _too_deep(self, span: Span) -> NoReturn:
        self._too_much("too-deep", span, f"this is the level after {LIMIT_DEPTH}; reading stops here")

    def _close(self, event: yaml.MappingEndEvent | yaml.SequenceEndEvent) -> None:
        frame = self._stack.pop()
        # The end of a block collection is only noticed at the next token, lines below.
        end = self._span(event.start_mark, event.end_mark) if frame.flow else frame.last or frame.start
        span = Span(self._file, frame.start.line, frame.start.column, end.end_line, end.end_column)
        node: Node
        if frame.mapping:
            if frame.merge is not None:
                self._merge(frame.merge, frame.entries)
            node = MappingNode(frame.entries, span)
        else:
            node = SequenceNode(tuple(frame.items), span)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = node
            self._measures[id(node)] = (frame.weight, frame.height)
        self._total -= frame.weight - 1  # its parts are counted already
        self._add(node, frame.weight, frame.height, merge=False)

    def _alias(self, event: yaml.AliasEvent) -> None:
        span = self._span(event.start_mark, event.end_mark)
        name = event.anchor or ""
        node = self._anchors.get(name)
        if node is None:
            if name in self._anchors:
                self._report("alias-loop", span, f"'*{name}' stands inside '&{name}' itself")
            else:
                self._report("unknown-alias", span, f"no anchor '&{name}' stands before this alias")
            self._add(ScalarNode(None, span, broken=True), 1, 0, merge=False)
            return
        self._aliases += 1
        if self._aliases > LIMIT_ALIASES:
            self._too_much("too-many-values", span, f"the file uses more than {LIMIT_ALIASES:,} aliases")
        if isinstance(node, ScalarNode):
            weight, height = 1 + (len(node.value) // 64 if isinstance(node.value, str) else 0), 0
        else:
            weight, height = self._measures[id(node)]
        if len(self._stack) + height > LIMIT_DEPTH:
            self._too_deep(span)
        self._add(node, weight, height, merge=False, place=span)

    def _add(self, node: Node, weight: int, height: int, merge: bool, place: Span | None = None) -> None:
        """Put a finished node where it belongs. ``place`` is where an alias of it stands."""
        place = place or node.span
        self._total += weight
        if self._total > LIMIT_VALUES:
            self._too_much(
                "too-many-values",
                place,
                f"the file means more than {LIMIT_VALUES:,} values with its aliases written out",
            )
        if not self._stack:
            self.root = self.root or node
            return
        frame = self._stack[-1]
        frame.weight += weight
        frame.height = max(frame.height, height + 1)
        frame.last = place
        if not frame.mapping:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = self._key(node, place, merge)
        else:
            self._value(frame, frame.key, node)
            frame.key = None

    def _key(self, node: Node, place: Span, merge: bool) -> _Key:
        if not isinstance(node, ScalarNode):
            kind = "a mapping" if isinstance(node, MappingNode) else "a list"
            self._report("key-not-text", place, f"{kind} stands in the place of a key")
            return _Key(None, place)
        if isinstance(node.value, str):
            return _Key(node.value, place, merge)
        if not node.broken:
            text = self._collector.sources.slice(place)
            shown = f"'{text}' is read as {_NAMES[type(node.value)]}" if text else "the key is empty"
            self._report("key-not-text", place, shown, "Put quotes around the key.")
        return _Key(None, place)

    def _value(self, frame: _Frame, key: _Key, node: Node) -> None:
        if key.text is None:
            return
        first = frame.entries.get(key.text) if not key.merge else frame.merge
        if first is not None:
            self._report(
                "duplicate-key",
                key.span,
                f"'{key.text[:60]}' is already written at {first.key_span}",
                "Remove or rename one of the two.",
            )
            return
        entry = Entry(key.text, key.span, node)
        if key.merge:
            frame.merge = entry
        else:
            frame.entries[key.text] = entry

    def _merge(self, merge: Entry, entries: dict[str, Entry]) -> None:
        value = merge.value
        for source in value.items if isinstance(value, SequenceNode) else (value,):
            if isinstance(source, MappingNode):
                for entry in source:
                    entries.setdefault(entry.key, entry)
            elif not (isinstance(source, ScalarNode) and source.broken):
                self._report(
                    "merge-key",
                    merge.key_span,
                    "its value is neither a mapping nor a list of mappings",
                    "Write '<<: *name' where '&name' marks a mapping, or quote the key.",
                )
