"""What is said about each way to disagree with a schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from compiler.diagnostics import Collector, Span, did_you_mean, nearest
from compiler.model.plan import Json
from compiler.source.fault import HEADERS, Fault, kind_of, located
from compiler.source.schemas import BASE, KINDS, schemas
from compiler.source.tree import MappingNode, SequenceNode
from compiler.source.variables import as_text

_TRUTH = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_NUMBER_WORDS = {
    "minimum": "less than",
    "maximum": "more than",
    "exclusiveMinimum": "not more than",
    "exclusiveMaximum": "not less than",
}
_LENGTHS = {
    "minLength": ("at least", "character"),
    "maxLength": ("at most", "character"),
    "minItems": ("at least", "entry"),
    "maxItems": ("at most", "entry"),
    "minProperties": ("at least", "key"),
    "maxProperties": ("at most", "key"),
}
_CHOICES = {"action": ("kind of action", "task"), "operation": ("operation", "step")}
_TASK_KEYS = ("timeout", "retry", "irreversible", "idempotent", "prerequisites", "pivot", "critical")


def complain(fault: Fault, collector: Collector) -> None:
    """Report one disagreement."""
    _WORDS.get(fault.keyword, _other)(fault, collector)


def listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word[:60]}'" for word in words)


def _unknown_key(fault: Fault, collector: Collector) -> None:
    node = cast(MappingNode, fault.node)
    choice = fault.schema.get("x-choice")
    for entry in node:
        if entry.key in fault.known:
            continue
        if choice:
            detail, code = f"there is no {_CHOICES[str(choice)][0]} '{entry.key[:60]}'", f"{choice}-kind"
            hint = did_you_mean(entry.key, fault.known)
        else:
            detail, code = f"{fault.called} has no key '{entry.key[:60]}'", "unknown-key"
            hint = _home_of(entry.key, fault) or did_you_mean(entry.key, fault.known)
        collector.report(code, entry.key_span, detail, hint)


def _home_of(key: str, fault: Fault) -> str:
    """Where a key that is known elsewhere belongs."""
    if nearest(key, fault.known) is not None:
        return ""
    if "action" in fault.known and f"actions/{key}.schema.json" in schemas():
        return f"It is a kind of action: write 'action: {{{key}: …}}'."
    inside = fault.path[-2:-1] == ("action",)
    if inside and key in _TASK_KEYS:
        return "It belongs to the task, beside 'action'."
    metadata = located(f"{BASE}{KINDS['MigrationPlan']}#/properties/metadata/properties")[1].get("properties")
    if not fault.path and isinstance(metadata, Mapping) and key in metadata:
        return "It belongs under 'metadata'."
    return ""


def _missing_key(fault: Fault, collector: Collector) -> None:
    key = str(fault.error.kind.as_dict().get("property"))
    if not fault.path and (key,) in HEADERS:
        return
    properties = fault.schema.get("properties", {})
    spec = properties.get(key) if isinstance(properties, Mapping) else None
    about = str(spec.get("description", "")) if isinstance(spec, Mapping) else ""
    collector.report(
        "missing-key", fault.span, f"{fault.called} needs the key '{key}'", f"Add '{key}: …'. {about}".strip()
    )


def _wrong_type(fault: Fault, collector: Collector) -> None:
    if collector.sources.is_hidden(fault.node.span):
        return  # a secret where a reference to one belongs has been reported as that
    value = fault.node.plain()
    found = fault.shown(value) if isinstance(value, str) else kind_of(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = f"the number {value}"
    collector.report(
        "wrong-type",
        fault.value_span,
        f"{fault.called}: expected {fault.expected}, got {found}",
        _type_hint(value, fault),
    )


def _type_hint(value: Json, fault: Fault) -> str:
    if value is None:
        return "Write a value, or remove the key."
    if "string" in fault.types and not isinstance(value, list | dict):
        return "Put quotes around it."
    if fault.types == ("boolean",) and isinstance(value, str) and value.lower() in _TRUTH:
        return f"Write '{_TRUTH[value.lower()]}'."
    if set(fault.types) <= {"integer", "number"} and isinstance(value, str):
        return "Write the number without quotes." if value.strip().isdigit() else ""
    if fault.types == ("array",) and not isinstance(value, dict):
        return "Write a list: [a, b], or one '- ' entry a line."
    return ""


def _unknown_value(fault: Fault, collector: Collector) -> None:
    options = cast(Sequence[Json], fault.limit if fault.keyword == "enum" else [fault.limit])
    value = fault.node.plain()
    words = [option for option in options if isinstance(option, str)]
    hint = did_you_mean(value, words) if isinstance(value, str) and len(words) == len(options) else ""
    if not hint:
        hint = "Use one of " + ", ".join(fault.shown(option) for option in options) + "."
    if isinstance(value, str) and value.lower() in options:
        hint = f"Write '{value.lower()}': upper and lower case count."
    collector.report(
        "unknown-value",
        fault.value_span,
        f"{fault.called} cannot be {fault.shown(value)}",
        hint,
    )


def _bad_format(fault: Fault, collector: Collector) -> None:
    collector.report(
        "bad-format",
        fault.value_span,
        f"{fault.called}: expected {fault.expected}, got {fault.shown(fault.node.plain())}",
    )


def _bad_key(fault: Fault, collector: Collector) -> None:
    node = cast(MappingNode, fault.node)
    names = fault.limit if isinstance(fault.limit, Mapping) else {}
    file = next((name for name in schemas() if name.endswith("values.schema.json")), "")
    spec = located(f"{BASE}{file}#/$defs/{str(names.get('$ref', '')).rpartition('/')[2]}/pattern")[1]
    cause = fault.error.kind.as_dict().get("error")
    key = str(getattr(cause, "instance", ""))
    expected = spec.get("x-expected", "a text that is not empty")
    collector.report(
        "bad-format", node.key_span(key), f"the key '{key[:60]}' is not what is expected here: {expected}"
    )


def _out_of_range(fault: Fault, collector: Collector) -> None:
    word = _NUMBER_WORDS[fault.keyword]
    collector.report(
        "out-of-range",
        fault.value_span,
        f"{fault.called}: {as_text(cast(float, fault.node.plain()))} is {word} {fault.limit}",
    )


def _wrong_length(fault: Fault, collector: Collector) -> None:
    value = fault.node.plain()
    if fault.schema.get("minProperties") == fault.schema.get("maxProperties") == 1:
        _not_one(fault, collector)
        return
    size = len(value) if isinstance(value, str | list | dict) else 0
    word, noun = _LENGTHS[fault.keyword]
    limit = cast(int, fault.limit)
    nouns = noun if limit == 1 else {"entry": "entries"}.get(noun, f"{noun}s")
    found = f"it has {size}" if size else "it is empty"
    collector.report(
        "wrong-length", fault.value_span, f"{fault.called} needs {word} {limit:,} {nouns}, and {found}"
    )


def _not_one(fault: Fault, collector: Collector) -> None:
    """A mapping that must have exactly one of its keys has none or several."""
    node = cast(MappingNode, fault.node)
    choice = fault.schema.get("x-choice")
    names = list(node.entries)
    span = node.key_span(names[1]) if len(names) > 1 else fault.span
    found = f"has {listed(names)}" if names else "is empty"
    if choice:
        what, holder = _CHOICES[str(choice)]
        detail = f"{fault.called} needs exactly one {what}, and {found}"
        hint = f"Make a {holder} of each." if names else did_you_mean("", fault.known)
        collector.report(f"{choice}-kind", span, detail, hint)
    else:
        detail = f"{fault.called} needs exactly one of the keys {listed(fault.known)}, and {found}"
        collector.report("key-choice", span, detail)


def _required_choice(fault: Fault, collector: Collector) -> None:
    """``oneOf`` and ``anyOf`` are only used over ``required``."""
    node = fault.node
    if not isinstance(node, MappingNode):
        return  # nothing but a mapping can lack a key, so every branch holds; its type is complained about
    branches = cast(Sequence[Mapping[str, Sequence[str]]], fault.limit)
    names = [name for branch in branches for name in branch["required"]]
    given = [name for name in names if name in node]
    how = "exactly" if fault.keyword == "oneOf" else "at least"
    found = f"has {listed(given)}" if given else "has none"
    span = node.key_span(given[1]) if len(given) > 1 else fault.span
    collector.report(
        "key-choice", span, f"{fault.called} needs {how} one of the keys {listed(names)}, and {found}"
    )


def _dependent(fault: Fault, collector: Collector) -> None:
    node = cast(MappingNode, fault.node)
    rules = cast(Mapping[str, Sequence[str]], fault.limit)
    for key, needs in rules.items():
        for need in needs:
            if key in node and need not in node:
                collector.report(
                    "key-choice", node.key_span(key), f"'{key}' only makes sense together with '{need}'"
                )


def _excluded(fault: Fault, collector: Collector) -> None:
    location = (fault.error.absolute_keyword_location or "").split("/")
    other = location[location.index("dependentSchemas") + 1] if "dependentSchemas" in location else ""
    collector.report(
        "key-choice",
        fault.span,
        f"{fault.called} cannot be given together with '{other}'",
        "Keep one of them.",
    )


def _duplicate_item(fault: Fault, collector: Collector) -> None:
    first: dict[str, Span] = {}
    for item in cast(SequenceNode, fault.node).items:
        value = item.plain()
        known = first.setdefault(repr(value), item.span)
        if known is not item.span:
            collector.report(
                "duplicate-item",
                item.span,
                f"{fault.shown(value)} is already in {fault.called}, at {known}",
                "Remove one of the two.",
            )


def _other(fault: Fault, collector: Collector) -> None:
    collector.report("bad-format", fault.value_span, f"{fault.called} is not what '{fault.keyword}' allows")


_WORDS: Mapping[str, Callable[[Fault, Collector], None]] = {
    "additionalProperties": _unknown_key,
    "required": _missing_key,
    "type": _wrong_type,
    "enum": _unknown_value,
    "const": _unknown_value,
    "pattern": _bad_format,
    "propertyNames": _bad_key,
    **dict.fromkeys(_NUMBER_WORDS, _out_of_range),
    **dict.fromkeys(_LENGTHS, _wrong_length),
    "oneOf": _required_choice,
    "anyOf": _required_choice,
    "dependentRequired": _dependent,
    "uniqueItems": _duplicate_item,
    "dependentSchemas": _excluded,
}
