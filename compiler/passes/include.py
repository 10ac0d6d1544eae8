"""Include: the files that the plan names as its own parts, read and bound.

After bind, because a path may hold a variable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from compiler.diagnostics import Collector, Span
from compiler.passes.bind import bind_document
from compiler.passes.load import read_document
from compiler.source.documents import Document, Documents, written_actions
from compiler.source.files import FileFault, Files, locate, relative
from compiler.source.tree import MappingNode, ScalarNode


def include(documents: Documents, files: Files, collector: Collector) -> Documents:
    """The documents with the rollback strategy and the transforms that actions refer to."""
    reader = _Reader(documents, files, collector)
    strategy: Document | None = None
    written = documents.plan.root.get("rollbackStrategy")
    if isinstance(written, MappingNode):
        strategy = Document(file=documents.plan.file, root=written, inline=True)
    elif isinstance(written, ScalarNode) and written.text is not None:
        strategy = reader.read(written.text, written.span, "RollbackStrategy")
    transforms: dict[str, Document | None] = {}
    for root in [documents.plan.root, *([strategy.root] if strategy is not None else [])]:
        for node in _transforms(root):
            path = reader.locate(node.text or "", node.span)
            if path is not None and path not in transforms:
                transforms[path] = reader.read(node.text or "", node.span, "Transform")
    return replace(
        documents,
        strategy=strategy,
        transforms={path: document for path, document in transforms.items() if document is not None},
        inputs=reader.inputs,
        uses={name: tuple(spans) for name, spans in reader.uses.items()},
    )


def _transforms(root: MappingNode) -> Iterator[ScalarNode]:
    """The references to transform files in a plan or a strategy."""
    for action in written_actions(root):
        if action.key == "bulk" and isinstance(action.value, MappingNode):
            node = action.value.get("transform")
            if isinstance(node, ScalarNode) and node.text is not None:
                yield node


class _Reader:
    """Reads included files, and remembers what the documents then have in all."""

    def __init__(self, documents: Documents, files: Files, collector: Collector) -> None:
        self.inputs = dict(documents.inputs)
        self.uses = {name: list(spans) for name, spans in documents.uses.items()}
        self._documents = documents
        self._files = files
        self._collector = collector

    def locate(self, reference: str, span: Span) -> str | None:
        """The path that a reference means, or None if it is not allowed."""
        try:
            return locate(self._documents.folder, reference)
        except FileFault as fault:
            self._collector.report(fault.code, span, str(fault))
            return None

    def read(self, reference: str, span: Span, kind: str) -> Document | None:
        """The document of that kind behind a reference, bound."""
        path = self.locate(reference, span)
        read = path and read_document(path, kind, self._files, self._collector, span)
        if not read or path is None:
            return None
        document, digest = read
        self.inputs[relative(self._documents.folder, path)] = digest
        return bind_document(document, self._documents.variables, self.uses, self._collector)
