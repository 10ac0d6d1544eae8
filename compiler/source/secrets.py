"""Secrets in plain text: found, reported, and hidden from every excerpt."""

from __future__ import annotations

from compiler.diagnostics import Collector, Span, is_secret_name, secrets_in
from compiler.source.documents import Documents
from compiler.source.tree import Entry, MappingNode, Node, ScalarNode

_NOT_SETTINGS = frozenset({"where", "transform", "collections", "variables", "rollbackStrategy"})
"""Below these keys a key is the name of a field or of a variable, or is looked at elsewhere."""
_HINT = "Write a reference instead: {fromEnv: NAME} or {fromFile: path}."


def check_secrets(documents: Documents, collector: Collector) -> None:
    """Report secrets in the plan, in the strategy and in the values of variables."""
    for variable in documents.variables.values():
        value = variable.value
        if isinstance(value, str) and value and (is_secret_name(variable.name) or secrets_in(value)):
            collector.report(
                "plain-secret",
                variable.span,
                f"the value of '{variable.name}' would become part of the compiled plan",
                "Refer to the secret in the place that needs it: {fromEnv: NAME} or {fromFile: path}.",
            )
    search = _Search(collector)
    for entry in documents.plan.root.mapping("variables") or ():
        if is_secret_name(entry.key):
            search.hide(entry)
    for document in documents.all():
        search.mapping(document.root, named=document not in documents.transforms.values())
    if documents.strategy is not None and documents.strategy.inline:
        search.mapping(documents.strategy.root, named=True)


class _Search:
    """Walks trees; nodes that aliases repeat are visited once."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._seen: set[int] = set()

    def hide(self, entry: Entry) -> None:
        """Never show the value of an entry."""
        value = entry.value
        default = value.get("default") if isinstance(value, MappingNode) else value
        if isinstance(default, ScalarNode):
            self._collector.sources.hide(default.span)

    def mapping(self, node: MappingNode, named: bool) -> None:
        """Search a mapping; ``named``: its keys are settings, whose names mean something."""
        for key, entry in node.entries.items():
            text = entry.value.text if isinstance(entry.value, ScalarNode) else None
            if named and text and is_secret_name(key):
                self._collector.sources.hide(entry.value.span)
                self._report(entry.value.span, f"'{key[:60]}' holds a secret in plain text")
            else:
                self._node(entry.value, named and key not in _NOT_SETTINGS)

    def _node(self, node: Node, named: bool) -> None:
        if isinstance(node, ScalarNode):
            if node.text and (found := secrets_in(node.text)):
                self._in_text(node, node.text, found)
        elif id(node) not in self._seen:
            self._seen.add(id(node))
            if isinstance(node, MappingNode):
                self.mapping(node, named)
            else:
                for item in node.items:
                    self._node(item, named)

    def _in_text(self, node: ScalarNode, text: str, found: list[tuple[int, int]]) -> None:
        raw = self._collector.sources.slice(node.span)
        for start, end in found:
            position = raw.find(text[start:end])
            span = node.span
            if position >= 0 and span.line == span.end_line:
                column = span.column + position
                span = Span(span.file, span.line, column, span.line, column + end - start)
            self._collector.sources.hide(span)
        self._report(node.span, "the text holds a password or a token")

    def _report(self, span: Span, detail: str) -> None:
        self._collector.report("plain-secret", span, detail, _HINT)
