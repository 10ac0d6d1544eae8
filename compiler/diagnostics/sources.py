"""The texts that excerpts are cut from, and the parts of them that must never be shown."""

from __future__ import annotations

import re

from compiler.diagnostics.masking import MASK, masked
from compiler.diagnostics.span import Span

_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")


class Sources:
    """Texts by file name, with hidden ranges."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}
        self._hidden: dict[str, set[Span]] = {}
        self._masked: dict[tuple[str, int], str] = {}

    def add(self, file: str, text: str) -> None:
        """Remember the text of a file. Lines break where YAML breaks them."""
        self._masked.clear()
        self._lines[file] = _LINE_BREAK.split(text)

    def hide(self, span: Span) -> None:
        """Never show what lies in ``span`` (a secret in plain text), in any excerpt."""
        self._hidden.setdefault(span.file, set()).add(span)
        self._masked.clear()

    def is_hidden(self, span: Span) -> bool:
        """Whether exactly that span is hidden."""
        return span in self._hidden.get(span.file, ())

    def line(self, file: str, number: int) -> str | None:
        """Line ``number`` (from 1) as it is, hidden parts included; None if there is none."""
        lines = self._lines.get(file, [])
        return lines[number - 1] if 1 <= number <= len(lines) else None

    def slice(self, span: Span) -> str:
        """The text of ``span``, hidden parts included; empty for a file that is not known."""
        lines = self._lines.get(span.file, [])[span.line - 1 : span.end_line]
        if not lines:
            return ""
        if span.end_line - span.line < len(lines):
            lines = [*lines[:-1], lines[-1][: span.end_column - 1]]
        return "\n".join([lines[0][span.column - 1 :], *lines[1:]])

    def masked(self, file: str, number: int) -> str | None:
        """Line ``number`` as it may be shown: one bullet for each character that is hidden or looks like
        a secret, so that columns stay true."""
        text = self.line(file, number)
        if text is None or (file, number) in self._masked:
            return self._masked.get((file, number))
        for span in self._hidden.get(file, ()):
            if span.line <= number <= span.end_line:
                start = span.column - 1 if number == span.line else 0
                end = span.end_column - 1 if number == span.end_line else len(text)
                text = text[:start] + MASK * len(text[start:end]) + text[end:]
        self._masked[file, number] = masked(text)
        return self._masked[file, number]
