"""A YAML document as frozen nodes that know their place.

Nodes form a tree, or with aliases a graph without cycles. Equal nodes are distinct objects: a node is
compared by identity, its value by :meth:`plain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from compiler.diagnostics import Span
from compiler.model.plan import Json

Scalar = Union[None, bool, int, float, str]
Step = Union[str, int]
"""One part of a path: a mapping's key or a sequence's index."""


@dataclass(frozen=True, slots=True, eq=False)
class ScalarNode:
    """A text, number, truth value or null.

    ``broken``: a fault of it is reported already and its value is not what it would have been, so that
    nobody should complain about the value again.
    """

    value: Scalar
    span: Span
    quoted: bool = False
    broken: bool = False

    @property
    def text(self) -> str | None:
        """The value if it is a text, and a sound one."""
        return self.value if isinstance(self.value, str) and not self.broken else None

    def plain(self) -> Json:
        """The value itself."""
        return self.value


@dataclass(frozen=True, slots=True, eq=False)
class SequenceNode:
    """A list."""

    items: tuple[Node, ...]
    span: Span

    def plain(self) -> list[Json]:
        """A new list of plain values, all the way down."""
        return [item.plain() for item in self.items]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key of a mapping, where it stands, and its value."""

    key: str
    key_span: Span
    value: Node


@dataclass(frozen=True, slots=True, eq=False)
class MappingNode:
    """A mapping, its keys in the order of the file.

    The typed accessors answer with nothing where the key is missing or holds something else, so that
    a pass can look for its own faults in a document that validation has already complained about.
    """

    entries: Mapping[str, Entry]
    span: Span

    def plain(self) -> dict[str, Json]:
        """A new dict of plain values, all the way down."""
        return {key: entry.value.plain() for key, entry in self.entries.items()}

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def get(self, key: str) -> Node | None:
        """The value of ``key``."""
        entry = self.entries.get(key)
        return entry.value if entry is not None else None

    def key_span(self, key: str) -> Span:
        """Where ``key`` is written; where the mapping starts if it is not there."""
        entry = self.entries.get(key)
        return entry.key_span if entry is not None else head(self.span)

    def value_span(self, key: str) -> Span:
        """Where the value of ``key`` is written; where the mapping starts if it is not there."""
        entry = self.entries.get(key)
        return entry.value.span if entry is not None else head(self.span)

    def text(self, key: str) -> str | None:
        """The value of ``key`` if it is a text."""
        node = self.get(key)
        return node.text if isinstance(node, ScalarNode) else None

    def flag(self, key: str) -> bool:
        """Whether ``key`` is true."""
        node = self.get(key)
        return isinstance(node, ScalarNode) and node.value is True

    def mapping(self, key: str) -> MappingNode | None:
        """The value of ``key`` if it is a mapping."""
        node = self.get(key)
        return node if isinstance(node, MappingNode) else None

    def items(self, key: str) -> tuple[Node, ...]:
        """The entries of the list at ``key``; empty if it is not a list."""
        node = self.get(key)
        return node.items if isinstance(node, SequenceNode) else ()

    def mappings(self, key: str) -> tuple[MappingNode, ...]:
        """Those entries of the list at ``key`` that are mappings."""
        return tuple(node for node in self.items(key) if isinstance(node, MappingNode))

    def texts(self, key: str) -> tuple[tuple[str, Span], ...]:
        """Those entries of the list at ``key`` that are texts, with their places."""
        return tuple(
            (node.text, node.span)
            for node in self.items(key)
            if isinstance(node, ScalarNode) and node.text is not None
        )


Node = Union[ScalarNode, SequenceNode, MappingNode]


def at(root: Node, path: Sequence[Step]) -> Node | None:
    """The node at a path of keys and indexes, as jsonschema's ``absolute_path`` has it; or None."""
    node: Node | None = root
    for step in path:
        if isinstance(node, MappingNode) and isinstance(step, str):
            node = node.get(step)
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def head(span: Span) -> Span:
    """The first character of a span: a place for what a whole mapping lacks."""
    return Span(span.file, span.line, span.column, span.line, span.column + 1)


def replaced(root: MappingNode, changes: Mapping[int, ScalarNode]) -> MappingNode:
    """The same tree with other nodes in the places of those whose ``id`` is a key of ``changes``."""
    done: dict[int, Node] = {}

    def node_of(node: Node) -> Node:
        if id(node) not in done:
            done[id(node)] = changes[id(node)] if id(node) in changes else rebuilt(node)
        return done[id(node)]

    def rebuilt(node: Node) -> Node:
        if isinstance(node, SequenceNode):
            return SequenceNode(tuple(node_of(item) for item in node.items), node.span)
        return mapping_of(node) if isinstance(node, MappingNode) else node

    def mapping_of(node: MappingNode) -> MappingNode:
        entries = {entry.key: Entry(entry.key, entry.key_span, node_of(entry.value)) for entry in node}
        return MappingNode(entries, node.span)

    return mapping_of(root)
