"""Why a document does not arrive: the reason of its dead letter."""

from __future__ import annotations

_SHOWN = 60


class Rejected(Exception):
    """This document cannot be moved; the others can. ``reason`` is one line that names the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def shorten(value: object) -> str:
    """A value as a reason shows it: its Python literal, at most 60 characters.

    >>> shorten("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"
    """
    # The repr of a 16 MB text is not made for 60 characters of it.
    if isinstance(value, (str, bytes)):
        value = value[: _SHOWN + 1]
    elif isinstance(value, (list, dict)):
        return f"a {'list' if isinstance(value, list) else 'document'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def one_line(error: BaseException) -> str:
    """An exception as part of a reason: its type and the first line of its message, shortened."""
    lines = str(error).strip().splitlines()
    message = lines[0] if lines else ""
    message = message if len(message) <= 200 else message[:200] + "…"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
