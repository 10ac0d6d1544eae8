"""What a user is told about a file: where, which code, what was found and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from compiler.diagnostics.codes import CATALOGUE
from compiler.diagnostics.sources import Sources
from compiler.diagnostics.span import Span
from compiler.model.plan import Json


class Severity(StrEnum):
    """An error stops the compile at the end of its stage; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One fault. ``summary`` is the code's own and never changes; ``detail`` is of this case.

    ``span`` is None for what is written in no file (a ``--var`` on the command line).
    """

    code: str
    severity: Severity
    span: Span | None
    summary: str
    detail: str
    hint: str = ""

    def to_json(self) -> dict[str, Json]:
        """The object that ``--json`` prints. ``file``, ``line`` and ``column`` are null without a place."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "file": self.span.file if self.span else None,
            "line": self.span.line if self.span else None,
            "column": self.span.column if self.span else None,
            "summary": self.summary,
            "detail": self.detail,
            "hint": self.hint,
        }


class Collector:
    """Gathers the diagnostics of one compile, and the texts that their excerpts are cut from.

    One fault is told once: the same code at the same place with the same detail is kept once, so that
    a node that an alias repeats is not reported for every use.
    """

    def __init__(self) -> None:
        self.sources = Sources()
        self._diagnostics: dict[tuple[str, Span | None, str], Diagnostic] = {}

    def report(self, code: str, span: Span | None, detail: str, hint: str = "") -> None:
        """Add a diagnostic. Raises KeyError for a code that the catalogue does not declare."""
        entry = CATALOGUE[code]
        self._diagnostics.setdefault(
            (code, span, detail),
            Diagnostic(
                code=code,
                severity=Severity(entry.severity),
                span=span,
                summary=entry.summary,
                detail=detail,
                hint=hint,
            ),
        )

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All of them, by file, line and column; those without a place come first."""
        return tuple(sorted(self._diagnostics.values(), key=_order))

    @property
    def failed(self) -> bool:
        """Whether there is an error among them."""
        return any(item.severity is Severity.ERROR for item in self._diagnostics.values())


def _order(diagnostic: Diagnostic) -> tuple[str, int, int, str, str]:
    span = diagnostic.span
    if span is None:
        return ("", 0, 0, diagnostic.code, diagnostic.detail)
    return (span.file, span.line, span.column, diagnostic.code, diagnostic.detail)


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``word`` is most likely a misspelling of, or None.

    >>> nearest("copy-note", ["backup-notes", "copy-notes"])
    'copy-notes'
    >>> nearest("Phases", ["phases", "policy"])
    'phases'
    """
    names = list(dict.fromkeys(candidates))
    folded: Mapping[str, str] = {name.casefold(): name for name in reversed(names)}
    found = difflib.get_close_matches(word.casefold()[:200], folded, n=1, cutoff=0.65)
    return folded[found[0]] if found else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """A hint that names the nearest candidate, or lists them all if there are few; else empty.

    >>> did_you_mean("bulq", ["bulk", "verify"])
    "Did you mean 'bulk'?"
    >>> did_you_mean("zzz", ["bulk", "verify"])
    "Use one of 'bulk', 'verify'."
    """
    names = list(dict.fromkeys(candidates))
    near = nearest(word, names)
    if near is not None:
        return f"Did you mean '{near}'?"
    if 0 < len(names) <= 20:
        return "Use one of " + ", ".join(f"'{name}'" for name in names) + "."
    return ""
