"""Text from a plan, made safe to show: one line, no control characters, no hidden direction marks.

Every string that a plan brings goes through :func:`label` before it enters any picture or page; the
formats then add their own quoting. A terminal escape, a right-to-left override or a lone surrogate is
shown as its code, never obeyed; the user and password of an address are left out.
"""

from __future__ import annotations

import re
import unicodedata

_PLAIN = re.compile(r"[\x20-\x7e]*")
_SPACES = re.compile(r" {2,}")
_CREDENTIALS = re.compile(r"://[^/@\s]*@")
_JOINERS = frozenset("\u200c\u200d")
"""Emoji and several scripts cannot be written without them."""


def label(text: str, limit: int = 80) -> str:
    r"""``text`` in one line of at most ``limit`` characters; what was cut off is marked by an ellipsis.

    >>> label("Copy\n  the\tnotes")
    'Copy the notes'
    >>> label("safe\u202egnp.exe")
    'safe\\u202egnp.exe'
    >>> label("abcdefgh", 5)
    'abcd…'
    >>> label("mongodb://ann:secret@db.example/notes")
    'mongodb://…@db.example/notes'
    """
    # What lies far behind the limit is not looked at: a label may be megabytes long.
    cut = len(text) > 4 * limit
    shown = text[: 4 * limit] if cut else text
    if not _PLAIN.fullmatch(shown):
        shown = "".join(map(_visible, shown))
    shown = _SPACES.sub(" ", shown).strip()
    if "://" in shown:
        shown = _CREDENTIALS.sub("://…@", shown)
    if len(shown) > limit or cut:
        shown = shown[: limit - 1].rstrip() + "…"
    return shown


def _visible(character: str) -> str:
    code = ord(character)
    if " " <= character <= "~" or character in _JOINERS:
        return character
    category = unicodedata.category(character)
    if category.startswith("Z") or character in "\t\n\r\v\f\x85":
        return " "
    if category in ("Cc", "Cf", "Cs") or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return f"\\u{code:04x}"
    return character


def columns(text: str) -> int:
    """How many cells of a terminal ``text`` takes; East Asian wide characters take two.

    >>> columns("日本")
    4
    """
    if text.isascii():
        return len(text)
    cells = 0
    for character in text:
        if not unicodedata.combining(character):
            cells += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return cells
