"""Seal: everything that matters, in one value with a digest over it."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from compiler.compilation import Compilation
from compiler.model.codec import seal as sealed
from compiler.model.plan import FORMAT, CompiledPlan, Json, PlanKind

NOTES = ("risks", "mitigations", "resources", "successCriteria")
"""Parts of a plan that people read and nothing runs."""


def seal(compilation: Compilation) -> Compilation:
    """The compilation with its plan, if nothing is wrong."""
    if compilation.collector.failed:
        return compilation
    return replace(compilation, plan=sealed(unsealed(compilation)))


def unsealed(compilation: Compilation) -> CompiledPlan:
    """The compiled plan without its digest."""
    documents = compilation.documents
    root = documents.plan.root
    metadata = root.mapping("metadata")
    version = metadata.get("version") if metadata is not None else None
    notes: dict[str, Json] = {}
    for key in NOTES:
        node = root.get(key)
        if node is not None:
            notes[key] = node.plain()
    if metadata is not None:
        notes["metadata"] = metadata.plain()
    return CompiledPlan(
        name=(metadata.text("name") if metadata is not None else None) or "plan",
        kind=PlanKind.PLAN,
        format=FORMAT,
        version=str(version.plain()) if version is not None else "",
        source=posixpath.basename(documents.plan.file),
        stores=compilation.stores,
        phases=compilation.phases,
        steps=compilation.steps,
        edges=compilation.edges,
        triggers=compilation.triggers,
        rollback=compilation.rollback,
        policy=compilation.policy,
        variables={name: item.value for name, item in documents.variables.items()},
        notes=notes,
        inputs=dict(sorted(compilation.inputs.items())),
        sources=dict(sorted(documents.inputs.items())),
        estimate=compilation.estimate,
        critical_path=compilation.critical_path,
    )
