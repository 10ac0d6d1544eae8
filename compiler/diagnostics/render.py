"""Diagnostics as text for a terminal or a log."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from compiler.diagnostics.codes import CATALOGUE
from compiler.diagnostics.report import Diagnostic, Severity
from compiler.diagnostics.sources import Sources

WIDTH = 96
"""Display cells of an excerpt; a longer line is cut to a window around the caret."""

LONGEST = 500
"""Characters of a line of a detail or hint, which may hold a name of any length."""

_TAB = "    "
# Other controls, format characters (bidirectional overrides among them), lone surrogates and line
# separators could hide or forge what a terminal shows.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def render(diagnostic: Diagnostic, sources: Sources) -> str:
    """One diagnostic with its excerpt, caret, detail and hint; no final newline."""
    lines = [f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.summary}"]
    margin = 1
    if diagnostic.span is not None:
        span = diagnostic.span
        margin = len(str(span.line))
        lines.append(f"{' ' * margin}--> {safe(span.file)}:{span.line}:{span.column}")
        text = sources.masked(span.file, span.line)
        if text is not None:
            end = span.end_column - 1 if span.end_line == span.line else len(text)
            excerpt, caret = _window(text, span.column - 1, max(end, span.column))
            lines.append(f"{' ' * margin} |")
            lines.append(f"{span.line} | {excerpt}".rstrip())
            lines.append(f"{' ' * margin} | {caret}")
    for label, content in (("", diagnostic.detail), ("hint: ", diagnostic.hint)):
        if content:
            first, *rest = (_clipped(safe(line)) for line in content.split("\n"))
            lines.append(f"{' ' * margin} = {label}{first}")
            indent = " " * (margin + 3 + len(label))
            lines.extend(f"{indent}{line}" for line in rest)
    return "\n".join(lines)


def render_all(diagnostics: Iterable[Diagnostic], sources: Sources) -> str:
    """All of them, a blank line between two, and a last line that counts them; empty for none."""
    items = tuple(diagnostics)
    if not items:
        return ""
    errors = sum(item.severity is Severity.ERROR for item in items)
    warnings = len(items) - errors
    counts = [_counted(errors, "error")] if errors else []
    counts += [_counted(warnings, "warning")] if warnings else []
    parts = [render(item, sources) for item in items]
    return "\n\n".join([*parts, " and ".join(counts)]) + "\n"


def explain(code: str) -> str | None:
    """What ``plan explain CODE`` prints, or None for a code that is not known."""
    entry = CATALOGUE.get(code)
    if entry is None:
        return None
    return f"{entry.severity}[{entry.code}]: {entry.summary}\n\n{entry.explanation.strip()}\n"


def safe(text: str) -> str:
    """``text`` on one line with every character that a terminal might obey spelled out.

    >>> safe("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return "".join(_cell(character) for character in text)


def _clipped(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _cell(character: str) -> str:
    if character == "\t":
        return _TAB
    if character.isascii() and character.isprintable():
        return character
    if unicodedata.category(character) in _UNSAFE:
        point = ord(character)
        if point < 0x100:
            return f"\\x{point:02x}"
        return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
    return character


def _cells(shown: str) -> int:
    """Display cells: two for a wide character, none for one that combines with its neighbour."""
    if shown.isascii():
        return len(shown)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown
    )


def _window(text: str, start: int, end: int) -> tuple[str, str]:
    """The part of a line around ``start`` that fits :data:`WIDTH`, and its caret line."""
    # Only what could be shown is looked at: a line may be megabytes long.
    low = max(0, start - WIDTH)
    cells = [_cell(c) for c in text[low : start + WIDTH]]
    at = start - low
    room = WIDTH if len(text) <= WIDTH and _cells("".join(cells)) <= WIDTH else WIDTH // 2
    before, left = 0, at
    while left > 0 and before + _cells(cells[left - 1]) <= room:
        left -= 1
        before += _cells(cells[left])
    whole, right = before, at
    while right < len(cells) and whole + _cells(cells[right]) <= WIDTH:
        whole += _cells(cells[right])
        right += 1
    opening = "…" if low + left > 0 else ""
    closing = "…" if low + right < len(text) else ""
    underlined = sum(_cells(cell) for cell in cells[at : min(right, end - low)])
    excerpt = opening + "".join(cells[left:right]) + closing
    return excerpt, " " * (len(opening) + before) + "^" * max(1, underlined)
