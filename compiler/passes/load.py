"""Load: the plan's own file, read and recognised."""

from __future__ import annotations

import posixpath
import re

from compiler.diagnostics import Collector, Span, did_you_mean, nearest
from compiler.source.documents import API_VERSION, Document, Documents
from compiler.source.files import FileFault, Files, relative, sha256
from compiler.source.read import LIMIT_BYTES, read_yaml
from compiler.source.tree import MappingNode, ScalarNode, SequenceNode

KINDS = (
    "MigrationPlan",
    "RollbackStrategy",
    "Transform",
    "Assessment",
    "VersionMatrix",
    "ConfigurationSchema",
    "AdapterInterface",
    "MigrationTest",
    "CompiledPlan",
    "CompiledRollback",
    "Approval",
    "RunReport",
)
"""Every kind of document that there is, to tell one from a misspelling."""


def load(path: str, files: Files, collector: Collector) -> Documents | None:
    """The plan at ``path``, alone; None if it cannot be read or is not a plan at all."""
    folder = posixpath.dirname(path)
    read = read_document(path, "MigrationPlan", files, collector, None)
    if read is None:
        return None
    document, digest = read
    return Documents(plan=document, folder=folder, inputs={relative(folder, path): digest})


def read_document(
    path: str, kind: str, files: Files, collector: Collector, referrer: Span | None
) -> tuple[Document, str] | None:
    """The document in a file and the file's digest, or None if it is not one of that ``kind``.

    ``referrer`` is the place that names the file, None for the command line.
    """
    try:
        data = files.read(path, LIMIT_BYTES)
    except FileFault as fault:
        collector.report(fault.code, referrer, str(fault))
        return None
    root = read_yaml(data, path, collector)
    if root is None:
        return None
    if not isinstance(root, MappingNode):
        found = "a list" if isinstance(root, SequenceNode) else "a single value"
        collector.report(
            "wrong-type",
            Span.point(path, root.span.line, root.span.column),
            f"the file holds {found}; a document is a mapping",
            f"Start with 'apiVersion: {API_VERSION}' and 'kind: {kind}'.",
        )
        return None
    if not _is_of_kind(root, kind, path, collector):
        return None
    return Document(file=path, root=root), sha256(data)


def _is_of_kind(root: MappingNode, kind: str, path: str, collector: Collector) -> bool:
    """Report what is wrong with ``apiVersion`` and ``kind``. False: nothing else in the file could be
    judged; a missing or misspelt one is reported, and the rest still read."""
    start = Span.point(path, root.span.line, root.span.column)
    for key, value in (("apiVersion", API_VERSION), ("kind", kind)):
        if key not in root:
            collector.report("missing-key", start, f"'{key}' is missing", f"Write '{key}: {value}'.")
    return _is_of_version(root, collector) and _is_kind(root, kind, collector)


def _is_of_version(root: MappingNode, collector: Collector) -> bool:
    node = root.get("apiVersion")
    if node is None or (isinstance(node, ScalarNode) and (node.broken or node.value == API_VERSION)):
        return True
    found = node.text if isinstance(node, ScalarNode) else None
    collector.report(
        "wrong-api-version",
        node.span,
        f"this release reads '{API_VERSION}'" + (f", not '{found[:60]}'" if found else ""),
        f"Write 'apiVersion: {API_VERSION}'.",
    )
    return found is None or re.fullmatch(r"plan/v[0-9]+\w*", found) is None


def _is_kind(root: MappingNode, kind: str, collector: Collector) -> bool:
    node = root.get("kind")
    if node is None or (isinstance(node, ScalarNode) and (node.broken or node.value == kind)):
        return True
    found = node.text if isinstance(node, ScalarNode) else None
    if found in KINDS:
        collector.report("wrong-kind", node.span, f"this is a {found}; a {kind} was expected")
        return False
    hint = f"Write 'kind: {kind}'."
    if found is not None and nearest(found, KINDS) == kind:
        hint = did_you_mean(found, KINDS)
    collector.report("wrong-kind", node.span, f"a {kind} was expected", hint)
    return True
