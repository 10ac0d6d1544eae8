"""The wording that all formats share: durations, ranges, triggers, addresses of stores."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from compiler.model.condition import ConditionError, parse
from compiler.model.plan import Estimate, Json, Severity, StoreSpec, Trigger
from compiler.render.label import label

_UNITS = {"errorRate": "%", "throughput": "records/s", "duration": "s", "memory": "MB"}
"""The metrics that have a unit; the others count records."""

_COMPARISON = re.compile(r"\b([A-Za-z_]\w*)\s*(<=|>=|==|!=|<|>)\s*(threshold|\d+(?:\.\d+)?)\b(?!\s*[-+*/])")
_THRESHOLD = re.compile(r"\bthreshold\b")

_AUTOMATED = {
    Severity.LOW: "tell",
    Severity.MEDIUM: "pause the run",
    Severity.HIGH: "drain and roll back",
    Severity.CRITICAL: "cancel and roll back",
}
_BY_PERSON = {
    Severity.LOW: "tell",
    Severity.MEDIUM: "pause the run",
    Severity.HIGH: "drain, then wait for a person to decide",
    Severity.CRITICAL: "cancel, then wait for a person to decide",
}


def number(value: float) -> str:
    """A number as people write it.

    >>> number(12000.0), number(2.5)
    ('12,000', '2.5')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,g}"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """
    >>> plural(1, "step"), plural(1200, "step"), plural(2, "inverse")
    ('1 step', '1,200 steps', '2 inverses')
    """
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def duration(seconds: float) -> str:
    """Seconds in the two largest units that say enough.

    >>> [duration(s) for s in (0, 0.25, 45, 90, 3600, 5400, 200000)]
    ['0 s', '0.2 s', '45 s', '1 min 30 s', '1 h', '1 h 30 min', '2 d 8 h']
    """
    if 0 < seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s" if seconds >= 0.05 else "under 0.1 s"
    whole = round(seconds)
    for name, size, smaller, part in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        # Rounded before it is compared: 59 min 59.7 s is one hour, not "59 min 60 s".
        parts = round(whole / part)
        if parts * part >= size:
            large, rest = divmod(parts, size // part)
            return f"{large:,} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def estimated(estimate: Estimate) -> str:
    """A duration and its range, or nothing where there is nothing to wait for.

    >>> estimated(Estimate(low=60, likely=120, high=240, provenance="declared"))
    '2 min (1 min to 4 min)'
    """
    if not estimate.high:
        return ""
    likely, low, high = duration(estimate.likely), duration(estimate.low), duration(estimate.high)
    return likely if low == high == likely else f"{likely} ({low} to {high})"


def listed(items: Sequence[str], most: int = 6) -> str:
    """Names in a row; beyond ``most`` of them the rest is counted.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    named = ", ".join(label(item, 60) for item in items[:most])
    return f"{named} and {len(items) - most:,} more" if len(items) > most else named


def short_digest(digest: str) -> str:
    """
    >>> short_digest("sha256:0123456789abcdef")
    'sha256:0123456789ab…'
    """
    algorithm, colon, value = label(digest, 100).partition(":")
    return f"{algorithm}{colon}{value[:12]}…" if len(value) > 12 else algorithm + colon + value


def watched(trigger: Trigger) -> str:
    """What a trigger waits for and what it does then.

    >>> watched(Trigger(id="t", condition="errorRate", threshold=5.0, window=30.0, samples=1))
    'when errorRate > 5 % for 30 s: drain and roll back'
    """
    text = "when " + _condition(trigger)
    if trigger.window:
        text += f" for {duration(trigger.window)}"
    if trigger.samples > 1:
        text += f", in at least {trigger.samples:,} samples"
    if trigger.step is not None:
        text += f", in step {label(trigger.step, 60)}"
    return f"{text}: {(_AUTOMATED if trigger.automated else _BY_PERSON)[trigger.severity]}"


def _condition(trigger: Trigger) -> str:
    text = label(trigger.condition, 160)
    if trigger.threshold is not None and _is_number(trigger.condition):
        # compiler.model.condition compares a numeric condition to the threshold by itself.
        text = f"{text} > threshold"
    text = _COMPARISON.sub(_with_unit, text).replace(" && ", " and ").replace(" || ", " or ")
    return text if trigger.threshold is None else _THRESHOLD.sub(number(trigger.threshold), text)


def _with_unit(match: re.Match[str]) -> str:
    metric, sign, right = match.groups()
    unit = _UNITS.get(metric, "")
    return f"{metric} {sign} {right}{' ' if unit else ''}{unit}"


def _is_number(condition: str) -> bool:
    try:
        return parse(condition).kind == "number"
    except ConditionError:
        return False  # the compiler has refused it; a picture of such a plan shows it as it is


def address(store: StoreSpec) -> str:
    """Where a store is, without credentials."""
    options = store.options
    parts: list[str] = []
    for key in ("uri", "path", "host"):
        value = options.get(key)
        if value is not None:
            text = plain(value)
            port = options.get("port") if key == "host" else None
            parts.append(text if port is None else f"{text}:{plain(port)}")
    for key in ("database", "metric", "dimension"):
        if options.get(key) is not None:
            parts.append(f"{key} {plain(options[key])}")
    return label(", ".join(parts), 160)


def plain(value: Json, depth: int = 4) -> str:
    """A value of a plan as a word; a secret as the reference that it is. What is nested deeper than
    ``depth`` is left out.

    >>> plain({"fromEnv": "MONGO_URI"}), plain(True), plain(3.0), plain({"a": [1, 2]})
    ('$MONGO_URI', 'true', '3', '{a: [1, 2]}')
    """
    if isinstance(value, Mapping):
        if isinstance(value.get("fromEnv"), str):
            return f"${value['fromEnv']}"
        if isinstance(value.get("fromFile"), str):
            return f"file {value['fromFile']}"
        if not depth:
            return "{…}"
        return "{" + ", ".join(f"{key}: {plain(item, depth - 1)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(plain(item, depth - 1) for item in value) + "]" if depth else "[…]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value).replace(",", "")
    return "" if value is None else str(value)
