"""``${name}`` in texts: the values, and the replacement.

``$${`` stands for ``${`` itself. ``${{`` is left as it is: it is a dollar sign before a Jinja expression.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.diagnostics import Collector, Span, did_you_mean
from compiler.source.documents import Variable
from compiler.source.read import LIMIT_BYTES
from compiler.source.scalars import NumberRange, resolve
from compiler.source.tree import Entry, MappingNode, Node, Scalar, ScalarNode, SequenceNode

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_REFERENCE = re.compile(r"\$(?P<escape>\$)?\{(?!\{)(?(escape)|(?P<name>[^}\n]*)(?P<end>\})?)")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_WORDS = {"string": "text", "integer": "an integer", "number": "a number", "boolean": "true or false"}


def type_of(value: Scalar) -> str:
    """The variable type of a value; that of null is ``string``."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "string"


def fits(value: Scalar, kind: str) -> bool:
    """Whether a value is of a variable type."""
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def declare(entry: Entry, collector: Collector) -> Variable:
    """The variable that an entry of ``variables`` declares, with its default for a value.

    What the schema complains about makes the variable broken without another word here.
    """
    name, span, node = entry.key, entry.key_span, entry.value
    broken = Variable(name=name, span=span, broken=True)
    if not NAME.fullmatch(name):
        return broken
    if isinstance(node, ScalarNode):
        kind, default, env = type_of(node.value), node, None
    elif isinstance(node, MappingNode):
        given = node.get("default")
        env = node.text("env")
        if given is not None and not isinstance(given, ScalarNode):
            return broken
        default = given or ScalarNode(None, node.span)
        kind = node.text("type") or type_of(default.value)
        if kind not in _TYPES:
            return broken
    else:
        return broken
    if default.broken:
        return broken
    if isinstance(default.value, str) and any(not m["escape"] for m in _REFERENCE.finditer(default.value)):
        collector.report(
            "variable-syntax",
            default.span,
            f"the default of '{name}' refers to a variable, which defaults cannot do",
            "For the two characters '${' themselves write '$${'.",
        )
        return broken
    if default.value is None:
        return Variable(name=name, span=span, type=kind, env=env)
    if not fits(default.value, kind):
        collector.report(
            "variable-type",
            default.span,
            f"the default of '{name}' is not {_WORDS[kind]}, which its type '{kind}' asks for",
        )
        return broken
    value = default.value
    if isinstance(value, str):
        value = value.replace("$${", "${")
    return Variable(name=name, span=span, type=kind, value=value, set=True, env=env)


def parse_value(text: str, kind: str) -> Scalar:
    """A value from the command line or the environment. Raises ValueError.

    >>> parse_value("007", "string"), parse_value("7", "integer"), parse_value("true", "boolean")
    ('007', 7, True)
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it is not valid UTF-8") from None
    if kind == "string":
        return text
    try:
        value = resolve(text.strip())
    except NumberRange:
        raise ValueError("it is a number that cannot be kept") from None
    if not fits(value, kind):
        raise ValueError(f"it is not {_WORDS[kind]}")
    return value


@dataclass(slots=True)
class Substitution:
    """Replaces references in trees, and remembers what was used where."""

    variables: Mapping[str, Variable]
    collector: Collector
    uses: dict[str, list[Span]] = field(default_factory=dict)
    _left: int = LIMIT_BYTES
    _done: dict[int, tuple[Node, int]] = field(default_factory=dict)

    def document(self, root: MappingNode, skip: str = "") -> MappingNode:
        """The same tree with all references replaced but in the entry ``skip``; shared nodes stay shared,
        and a tree without any reference is returned itself."""
        # By identity, so only while the tree is held: another tree may come to lie where this one lay.
        self._done.clear()
        return self._mapping(root, skip)

    def _tree(self, node: Node) -> Node:
        if isinstance(node, ScalarNode) and not (isinstance(node.value, str) and "${" in node.value):
            return node
        if id(node) in self._done:
            done, cost = self._done[id(node)]
            return done if self._spend(cost, node) else ScalarNode(None, node.span, broken=True)
        left = self._left
        if isinstance(node, ScalarNode):
            new: Node = self._scalar(node)
        elif isinstance(node, MappingNode):
            new = self._mapping(node)
        else:
            items = tuple(self._tree(item) for item in node.items)
            # Nodes are compared by identity, so equal tuples hold the same nodes.
            new = node if items == node.items else SequenceNode(items, node.span)
        self._done[id(node)] = new, left - self._left
        return new

    def _mapping(self, node: MappingNode, skip: str = "") -> MappingNode:
        changed: dict[str, Entry] = {}
        for key, entry in node.entries.items():
            if "${" in key:
                self._check_key(entry)
            value = self._tree(entry.value) if key != skip else entry.value
            if value is not entry.value:
                changed[key] = Entry(key, entry.key_span, value)
        return MappingNode({**node.entries, **changed}, node.span) if changed else node

    def _spend(self, size: int, node: Node) -> bool:
        """Take from what variables may add, which aliases and long values could multiply without end."""
        if size > self._left:
            self.collector.report(
                "too-many-values",
                node.span,
                f"variables put more than {LIMIT_BYTES:,} characters into the documents",
            )
            return False
        self._left -= size
        return True

    def _check_key(self, entry: Entry) -> None:
        if any(not match["escape"] for match in _REFERENCE.finditer(entry.key)):
            self.collector.report(
                "variable-syntax", entry.key_span, "variables are replaced in values, not in keys"
            )

    def _scalar(self, node: ScalarNode) -> ScalarNode:
        text = node.text
        if text is None or "${" not in text:
            return node
        parts: list[str] = []
        end, broken = 0, False
        whole: Variable | None = None
        for number, match in enumerate(_REFERENCE.finditer(text)):
            parts.append(text[end : match.start()])
            end = match.end()
            if match["escape"]:
                parts.append("${")
                continue
            variable = self._variable(node, match, number)
            if variable is None or variable.broken or not variable.set:
                broken = True
                continue
            parts.append(as_text(variable.value))
            whole = variable if match.group() == text else None
        parts.append(text[end:])
        if not self._spend(sum(map(len, parts)), node):
            return ScalarNode(None, node.span, broken=True)
        value = whole.value if whole is not None else "".join(parts)
        return ScalarNode(value, node.span, quoted=True, broken=broken)

    def _variable(self, node: ScalarNode, match: re.Match[str], number: int) -> Variable | None:
        name: str = match["name"]
        span = self._place(node, number, len(match.group()))
        if not match["end"] or not NAME.fullmatch(name):
            self.collector.report(
                "variable-syntax",
                span,
                f"'{match.group()[:60]}' is not a reference of the form '${{name}}'",
                "For the two characters '${' themselves write '$${'.",
            )
            return None
        if name not in self.variables:
            hint = did_you_mean(name, self.variables)
            self.collector.report(
                "unknown-variable",
                span,
                f"no variable '{name}' is declared in the plan's 'variables'",
                hint or "For the two characters '${' themselves write '$${'.",
            )
            return None
        self.uses.setdefault(name, []).append(span)
        return self.variables[name]

    def _place(self, node: ScalarNode, number: int, length: int) -> Span:
        """Where the reference of that number stands in the file. Escapes in a quoted text may hide it:
        then the whole text is the place."""
        raw = self.collector.sources.slice(node.span)
        matches = list(_REFERENCE.finditer(raw))
        if number >= len(matches) or len(matches[number].group()) != length:
            return node.span
        before = raw[: matches[number].start()].split("\n")
        line = node.span.line + len(before) - 1
        column = len(before[-1]) + (node.span.column if len(before) == 1 else 1)
        return Span(node.span.file, line, column, line, column + length)


def as_text(value: Scalar) -> str:
    """A value as it stands inside a text.

    >>> as_text(True), as_text(None), as_text(1.5)
    ('true', '', '1.5')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
