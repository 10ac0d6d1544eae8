"""Validate: every document against its schema, and no secret in plain text."""

from __future__ import annotations

from dataclasses import replace

from compiler.diagnostics import Collector
from compiler.source.conform import conform
from compiler.source.documents import Document, Documents
from compiler.source.secrets import check_secrets


def validate(documents: Documents, collector: Collector) -> Documents:
    """The documents, with the values of variables turned into text where text is expected. All that the
    schemas refuse is reported; the trees are returned nevertheless."""
    check_secrets(documents, collector)
    plan = _conforming(documents.plan, "MigrationPlan", collector)
    strategy = documents.strategy
    if strategy is not None and not strategy.inline:
        strategy = _conforming(strategy, "RollbackStrategy", collector)
    elif strategy is not None:
        strategy = replace(strategy, root=plan.root.mapping("rollbackStrategy") or strategy.root)
    transforms = {
        path: _conforming(document, "Transform", collector) for path, document in documents.transforms.items()
    }
    return replace(documents, plan=plan, strategy=strategy, transforms=transforms)


def _conforming(document: Document, kind: str, collector: Collector) -> Document:
    return replace(document, root=conform(document.root, kind, collector))
