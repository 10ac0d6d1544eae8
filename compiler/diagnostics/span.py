"""A range in a source file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From ``line:column`` up to, not including, ``end_line:end_column``. All count from 1, in
    characters (code points, not bytes and not display cells). ``file`` is the path as users see it."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @classmethod
    def point(cls, file: str, line: int = 1, column: int = 1) -> Span:
        """A single character."""
        return cls(file, line, column, line, column + 1)
