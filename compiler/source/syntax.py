"""The YAML parser's complaints in words that say what to do."""

from __future__ import annotations

import yaml

from compiler.diagnostics import Collector, Span

_QUOTE = "Quote a value that begins with a special character or contains ': ' or ' #'."
# (part of libyaml's or PyYAML's message, what it means, what to do); the first that fits counts.
_MEANINGS = (
    ("mapping values are not allowed", "a ':' makes a mapping where none can be", _QUOTE),
    (
        "could not find expected ':'",
        "this line is read as a key, but no ':' follows it",
        "Add the ':', indent the line as part of the value above it, or close the quote or bracket above.",
    ),
    ("found unexpected end of stream", "a quote is never closed", "Close the quote."),
    (
        "did not find expected ',' or",
        "a bracket is not closed before this place, or a comma is missing",
        "Put ',' between entries and close the bracket.",
    ),
    (
        "did not find expected key",
        "a key was expected here",
        "Let all keys of a mapping start in one column, and quote values with special characters.",
    ),
    (
        "did not find expected '-' indicator",
        "an entry of the list was expected here",
        "Let all '-' of a list start in one column.",
    ),
    ("did not find expected node content", "a value was expected here", _QUOTE),
    ("cannot start any token", "no value can start with this character", _QUOTE),
    ("block sequence entries are not allowed", "a '-' starts a list where none can be", _QUOTE),
    ("undefined tag handle", "the tag is not known", "Remove the tag, or quote the value."),
    (
        "unknown escape character",
        "the escape after '\\' is not known",
        "Use single quotes to keep '\\' as it is.",
    ),
    ("did not find expected hexdecimal number", "the escape after '\\' needs hexadecimal digits", ""),
    (
        "did not find expected alphabetic or numeric",
        "a name must follow '*' or '&'",
        "Quote the value if it is meant as text.",
    ),
)


def report_syntax(error: yaml.MarkedYAMLError, file: str, collector: Collector) -> None:
    """Report where reading stopped and, where the parser knows it, where the broken part began."""
    problem = error.problem or "the parser stopped here"
    mark = error.problem_mark or error.context_mark
    span = Span.point(file) if mark is None else Span.point(file, mark.line + 1, mark.column + 1)
    meaning, hint = next(
        ((meaning, hint) for part, meaning, hint in _MEANINGS if part in problem), (problem, "")
    )
    if collector.sources.slice(span) == "\t":
        meaning, hint = "a tab stands where YAML allows only spaces", "Indent with spaces."
    line = collector.sources.line(file, span.line) or ""
    if line[max(0, span.column - 2) : span.column] == "${":
        meaning, hint = "inside brackets '${' begins a mapping", 'Put quotes around the text: "${name}".'
    start = error.context_mark
    detail = meaning
    if start is not None and error.context and (start.line, start.column) != (span.line - 1, span.column - 1):
        context = (
            error.context.removeprefix("while ").replace("parsing", "reading").replace("scanning", "reading")
        )
        detail += f" ({context} that starts at line {start.line + 1}, column {start.column + 1})"
    collector.report("yaml-syntax", span, detail, hint)
