"""The JSON Schemas of the documents, from the installed package; never from a network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from compiler.model.plan import JsonObject

BASE = "https://fordway.invalid/schemas/"
"""Where the schemas would lie if they lay in a network; the name cannot be resolved, on purpose."""
KINDS: Mapping[str, str] = {
    "MigrationPlan": "migration-plan.schema.json",
    "RollbackStrategy": "rollback-strategy.schema.json",
    "Transform": "transform.schema.json",
    "CompiledPlan": "compiled-plan.schema.json",
    "CompiledRollback": "compiled-plan.schema.json",
    "RunReport": "run-report.schema.json",
}
"""The schema file of each kind of document."""


@cache
def schemas() -> Mapping[str, JsonObject]:
    """Every schema by its path below ``schemas/``, sorted."""
    return dict(sorted(_found(files("schemas"), "")))


def schema_of(kind: str) -> JsonObject:
    """The schema of a kind of document. Raises KeyError."""
    return schemas()[KINDS[kind]]


def _found(folder: Traversable, prefix: str) -> Iterator[tuple[str, JsonObject]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _found(item, f"{prefix}{item.name}/")
        elif item.name.endswith(".schema.json"):
            yield prefix + item.name, json.loads(item.read_text(encoding="utf-8"))
