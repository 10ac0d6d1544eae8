"""An independent judge of documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from compiler.source.schemas import BASE, KINDS, schemas


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], Draft202012Validator]:
    """The validator of the library jsonschema for a kind of document; it shares no code with the one in
    use."""
    resources = [
        (BASE + path, DRAFT202012.create_resource(dict(schema))) for path, schema in schemas().items()
    ]
    registry: Registry[Any] = Registry().with_resources(resources)

    def validator(kind: str) -> Draft202012Validator:
        return Draft202012Validator({"$ref": BASE + KINDS[kind]}, registry=registry)

    return validator
