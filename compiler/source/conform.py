"""A document against its schema: every fault in words, at its place.

The validator (jsonschema-rs) tells where in the document and where in the schema they disagree; its own
messages are not used. Schemas say what they expect in ``x-expected`` where a type or pattern would not, and
``x-choice`` marks mappings with exactly one key out of several.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from compiler.diagnostics import Collector
from compiler.source.complaints import complain
from compiler.source.fault import Fault
from compiler.source.schemas import BASE, KINDS, schemas
from compiler.source.tree import MappingNode, ScalarNode, replaced
from compiler.source.variables import as_text

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator


@cache
def _validator(kind: str) -> Validator:
    from jsonschema_rs import Registry, validator_for

    registry = Registry([(BASE + path, dict(schema)) for path, schema in schemas().items()])
    return validator_for({"$ref": BASE + KINDS[kind]}, registry=registry, offline=True)


def conform(root: MappingNode, kind: str, collector: Collector) -> MappingNode:
    """Report what of a document its schema refuses. The document comes back with the values of variables
    turned into text where text is expected.

    ``apiVersion`` and ``kind`` themselves are not looked at: whoever read the document has.
    """
    validator = _validator(kind)
    plain = root.plain()
    if validator.is_valid(plain):
        return root
    coerced = _coerced(root, validator.iter_errors(plain))
    if coerced is not root:
        plain = coerced.plain()
    # A node that aliases repeat fails at every place it is repeated in, in the same words.
    for error in validator.iter_errors(plain):
        fault = Fault.of(error, coerced)
        if fault is not None:
            complain(fault, collector)
    return coerced


def _coerced(root: MappingNode, errors: Iterable[ValidationError]) -> MappingNode:
    """A variable keeps its type where it is the whole of a value; in a place for text it becomes text."""
    changes: dict[int, ScalarNode] = {}
    for error in errors:
        fault = Fault.of(error, root)
        if fault is None or fault.keyword != "type" or "string" not in fault.types:
            continue
        node = fault.node
        if isinstance(node, ScalarNode) and node.quoted and not isinstance(node.value, str):
            changes[id(node)] = ScalarNode(as_text(node.value), node.span, quoted=True)
    return replaced(root, changes) if changes else root
