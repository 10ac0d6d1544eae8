"""What ChromaDB keeps beside a vector without changing it, and what it would refuse or change in silence."""

from __future__ import annotations

import math

_KINDS = (str, bool, int, float)


def metadata_fault(metadata: object) -> str:
    """Why this metadata would not come back as it is; empty if it would.

    >>> metadata_fault({"a": 1, "tags": ["x", "y"]})
    ''
    >>> metadata_fault({"n": 2**63})
    "metadata 'n' is beyond 64 bits; ChromaDB would make it a float"
    """
    if metadata is None:
        return ""
    if not isinstance(metadata, dict):
        return "metadata is not a mapping"
    for key, value in metadata.items():
        fault = _key_fault(key) or _value_fault(value)
        if fault:
            return f"metadata '{key}' {fault}"
    return ""


def _key_fault(key: object) -> str:
    if not isinstance(key, str):
        return "has a name that is not a text"
    if not key or key.startswith(("chroma:", "#", "$")):
        return "has a name that ChromaDB keeps for itself"
    return ""


def _value_fault(value: object) -> str:
    if isinstance(value, list):
        if not value:
            return "is an empty list"
        if len({type(item) for item in value}) > 1:
            return "holds values of several types"
        return next((fault for item in value if (fault := _scalar_fault(item))), "")
    return _scalar_fault(value)


def _scalar_fault(value: object) -> str:
    if type(value) not in _KINDS:
        return f"is a {type(value).__name__}; ChromaDB keeps texts, numbers, booleans and lists of them"
    if isinstance(value, bool):
        return ""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "is beyond 64 bits; ChromaDB would make it a float"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number; ChromaDB would lose it"
    if isinstance(value, str):
        return text_fault(value)
    return ""


def text_fault(text: str) -> str:
    """Why a text cannot be kept; empty if it can."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "holds half a surrogate pair, which has no UTF-8 form"
    return ""
