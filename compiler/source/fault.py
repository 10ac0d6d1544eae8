"""One disagreement between a document and its schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from compiler.diagnostics import Span, is_secret_name, masked
from compiler.model.plan import Json, JsonObject
from compiler.source.schemas import BASE, schemas
from compiler.source.tree import MappingNode, Node, ScalarNode, at, head
from compiler.source.variables import as_text

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

HEADERS = {("apiVersion",), ("kind",)}
"""The paths that whoever read the document has checked."""

_TYPES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One disagreement: the node, and the part of the schema that refuses it."""

    root: MappingNode
    path: tuple[str | int, ...]
    node: Node
    keyword: str
    schema: JsonObject
    error: ValidationError

    @classmethod
    def of(cls, error: ValidationError, root: MappingNode) -> Fault | None:
        """None for what somebody has complained about already."""
        path = tuple(error.instance_path)
        node = at(root, path)
        keyword, schema = located(error.absolute_keyword_location or "")
        if node is None or (isinstance(node, ScalarNode) and node.broken) or path in HEADERS:
            return None
        return cls(root, path, node, keyword, schema, error)

    @property
    def limit(self) -> Json:
        """The keyword's own value."""
        return self.schema.get(self.keyword)

    @property
    def types(self) -> tuple[str, ...]:
        """The types that the schema allows."""
        kinds = self.schema.get("type", ())
        return (kinds,) if isinstance(kinds, str) else tuple(cast(Sequence[str], kinds))

    @property
    def expected(self) -> str:
        """What the schema asks for, in words; empty if it says nothing about it."""
        said = self.schema.get("x-expected")
        return str(said) if said else " or ".join(_TYPES[kind] for kind in self.types)

    @property
    def known(self) -> tuple[str, ...]:
        """The keys that the schema knows."""
        properties = self.schema.get("properties", {})
        return tuple(properties) if isinstance(properties, Mapping) else ()

    @property
    def span(self) -> Span:
        """Where the node's key is written, if it has one; else its value's first line."""
        if self.path and isinstance(self.path[-1], str):
            holder = at(self.root, self.path[:-1])
            if isinstance(holder, MappingNode):
                return holder.key_span(self.path[-1])
        if isinstance(self.node, MappingNode) and self.node.entries:
            return next(iter(self.node)).key_span
        return head(self.node.span)

    @property
    def value_span(self) -> Span:
        """Where the value is written; where its key is, for a value of several lines or of none."""
        span = self.node.span
        return span if span.line == span.end_line and span.column < span.end_column else self.span

    @property
    def called(self) -> str:
        """How the node is called: by its key, or as an entry of a list."""
        last = self.path[-1] if self.path else ""
        if not isinstance(last, int):
            return f"'{last[:60]}'" if last else "the document"
        holder = self.path[-2] if len(self.path) > 1 else ""
        known = self.node.text("id") or self.node.text("name") if isinstance(self.node, MappingNode) else None
        named = f" ('{known[:60]}')" if known else ""
        return f"entry {last + 1} of '{holder}'{named}"

    def shown(self, value: Json) -> str:
        """A value for a message, without its secrets and not too long."""
        if any(isinstance(step, str) and is_secret_name(step) for step in self.path):
            return "a text" if isinstance(value, str) else kind_of(value)
        if isinstance(value, str):
            text = masked(value)
            return f"'{text[:60]}…'" if len(text) > 60 else f"'{text}'"
        if value is None or isinstance(value, Mapping | Sequence):
            return kind_of(value)
        return as_text(value)


@cache
def located(location: str) -> tuple[str, JsonObject]:
    """The keyword that failed and the schema that it stands in."""
    path, _, pointer = location.removeprefix(BASE).partition("#")
    schema: Json = schemas().get(path, {})
    parts = [unquote(part).replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    while len(parts) > 1 and parts[-1].isdigit():  # dependentRequired/0 stands for the keyword
        parts.pop()
    if "dependentSchemas" in parts:
        return "dependentSchemas", {}
    for part in parts[:-1]:
        if isinstance(schema, Mapping):
            schema = schema.get(part)
        elif isinstance(schema, Sequence) and not isinstance(schema, str):
            schema = schema[int(part)]
    return (parts[-1] if parts else "", schema if isinstance(schema, Mapping) else {})


def kind_of(value: Json) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return as_text(value)
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a mapping" if isinstance(value, Mapping) else "a list"
