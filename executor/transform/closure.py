"""A Transform document compiled once into one closure over documents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from compiler.model.codec import canonical
from compiler.model.plan import JsonObject
from executor.contract import FordwayError
from executor.transform.paths import Document
from executor.transform.steps import STEPS, Stage


@dataclass(frozen=True, slots=True)
class Transform:
    """The steps of a Transform document, ready to run.

    Called with a decoded document, which it owns from then on and may change in place, it gives the
    transformed document, or None if a step filtered it out. Raises Rejected.
    """

    stages: tuple[Stage, ...]

    def __call__(self, document: Document) -> Document | None:
        for stage in self.stages:
            result = stage(document)
            if result is None:
                return None
            document = result
        return document


def compile_transform(spec: JsonObject, *, base: Path) -> Transform:
    """Compile the ``steps`` of a Transform document, which its JSON Schema has accepted already.

    ``base`` is the folder that paths of Python functions start from. Raises FordwayError for what a
    schema cannot see: a template that does not parse, a function that is not there.
    """
    # Sorted: the compiled plan keeps no order of keys, so none may reach the documents.
    steps = json.loads(canonical(spec.get("steps") or []))
    return Transform(tuple(_compile_step(number, step, base) for number, step in enumerate(steps, 1)))


def _compile_step(number: int, step: object, base: Path) -> Stage:
    if not isinstance(step, dict) or len(step) != 1:
        raise FordwayError(f"transform step {number} is not a mapping with one key")
    [(kind, body)] = step.items()
    build = STEPS.get(kind)
    if build is None:
        raise FordwayError(
            f"transform step {number}: unknown kind '{kind}'", hint="known are " + ", ".join(sorted(STEPS))
        )
    try:
        return build(body, base)
    except FordwayError as error:
        raise FordwayError(f"transform step {number} ({kind}): {error.message}", hint=error.hint) from error
