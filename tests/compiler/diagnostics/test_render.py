"""Diagnostics on a terminal."""

from __future__ import annotations

import pytest

from compiler.diagnostics import CATALOGUE, Collector, Span, explain, nearest, render, render_all
from compiler.diagnostics.render import WIDTH


def shown(text: str, column: int, end: int, detail: str = "") -> list[str]:
    """Excerpt and caret line of a fault in the first line of a text."""
    collector = Collector()
    collector.sources.add("plan.yaml", text)
    collector.report("duplicate-key", Span("plan.yaml", 1, column, 1, end), detail)
    [found] = collector.diagnostics
    return render(found, collector.sources).split("\n")[3:5]


def test_the_caret_stands_under_its_text() -> None:
    """One caret for each character."""
    assert shown("name: value", 7, 12) == ["1 | name: value", "  |       ^^^^^"]


def test_tabs_and_wide_characters_keep_the_caret_in_place() -> None:
    """A tab is four cells, a wide character two, a combining one none."""
    assert shown("\ta: 日本e\u0301x", 9, 10) == ["1 |     a: 日本e\u0301x", "  |             ^"]


def test_what_a_terminal_would_obey_is_spelled_out() -> None:
    """Escapes, bidirectional overrides and line separators cannot forge what is shown."""
    excerpt, caret = shown("a\x1b[31m\u202eb", 8, 9)
    assert excerpt == "1 | a\\x1b[31m\\u202eb"
    assert caret.index("^") == excerpt.index("b", 15)


@pytest.mark.parametrize("column", [1, 50, 5000, 999_999, 1_000_000])
def test_a_long_line_is_cut_to_a_window(column: int) -> None:
    """The caret still stands under its character, and the cut ends are marked."""
    text = "".join("0123456789"[n % 10] for n in range(1_000_000))
    excerpt, caret = shown(text, column, column + 1)
    assert len(excerpt) <= WIDTH + 6
    assert excerpt[caret.index("^")] == str((column - 1) % 10)
    assert (excerpt[4] == "…") == (column > WIDTH // 2)


def test_a_span_over_several_lines_is_underlined_to_the_end_of_its_first() -> None:
    """The place is where it begins."""
    collector = Collector()
    collector.sources.add("plan.yaml", "a: [1,\n  2]")
    collector.report("wrong-type", Span("plan.yaml", 1, 4, 2, 5), "")
    assert render(collector.diagnostics[0], collector.sources).split("\n")[4] == "  |    ^^^"


def test_a_place_without_a_text_has_no_excerpt() -> None:
    """A file that was never read is only named."""
    collector = Collector()
    collector.report("missing-file", Span.point("nowhere.yaml"), "gone", "Look\nthere.")
    assert render(collector.diagnostics[0], collector.sources).split("\n") == [
        "error[missing-file]: A file does not exist",
        " --> nowhere.yaml:1:1",
        "  = gone",
        "  = hint: Look",
        "          there.",
    ]


def test_a_hidden_part_is_never_shown_by_anyone() -> None:
    """A secret is masked in the excerpt of another fault in its line, too."""
    collector = Collector()
    collector.sources.add("plan.yaml", "x: hunter2, y: 3")
    collector.sources.hide(Span("plan.yaml", 1, 4, 1, 11))
    collector.report("unknown-key", Span("plan.yaml", 1, 13, 1, 14), "")
    text = render(collector.diagnostics[0], collector.sources)
    assert "hunter2" not in text and "x: •••••••, y: 3" in text


@pytest.mark.parametrize(
    "line",
    ["uri: mongodb://me:hunter2@host/", "password: hunter2", 'apiKey: "hunter2"', "DB_TOKEN: hunter2 # x"],
)
def test_what_looks_like_a_secret_is_masked_even_where_nobody_found_one(line: str) -> None:
    """A syntax error in the line of a password must not print it."""
    collector = Collector()
    collector.sources.add("plan.yaml", line)
    collector.report("yaml-syntax", Span.point("plan.yaml"), "")
    assert "hunter2" not in render(collector.diagnostics[0], collector.sources)


def test_diagnostics_come_in_the_order_of_the_files() -> None:
    """By file, line and column, those without a place first, and the same one once."""
    collector = Collector()
    for file, line in (("b.yaml", 1), ("a.yaml", 9), ("a.yaml", 2), ("a.yaml", 2)):
        collector.report("duplicate-key", Span.point(file, line), "")
    collector.report("unknown-override", None, "")
    places = [item.span and (item.span.file, item.span.line) for item in collector.diagnostics]
    assert places == [None, ("a.yaml", 2), ("a.yaml", 9), ("b.yaml", 1)]
    assert render_all(collector.diagnostics, collector.sources).endswith("\n4 errors\n")


def test_warnings_do_not_fail_a_compile() -> None:
    """Only errors do."""
    collector = Collector()
    collector.report("unused-variable", None, "")
    assert not collector.failed
    collector.report("unknown-key", None, "")
    assert collector.failed
    assert render_all((), collector.sources) == ""


def test_a_code_that_nobody_declared_is_a_fault_of_ours() -> None:
    """It cannot be reported by mistake."""
    with pytest.raises(KeyError):
        Collector().report("no-such-code", None, "")


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_code_is_explained(code: str) -> None:
    """A summary without a full stop, an explanation in full sentences that fits a terminal."""
    entry = CATALOGUE[code]
    assert entry.code == code == code.lower()
    assert entry.summary[0].isupper() and not entry.summary.endswith(".")
    text = explain(code)
    assert text is not None and text.startswith(f"{entry.severity}[{code}]: {entry.summary}\n\n")
    assert max(map(len, text.splitlines())) <= 110
    assert len(entry.explanation.split()) >= 8


def test_an_unknown_code_has_no_explanation() -> None:
    """None, for the command to say so."""
    assert explain("nonsense") is None


@pytest.mark.parametrize(
    ("word", "expected"), [("copy-note", "copy-notes"), ("Phases", "phases"), ("zzz", None), ("", None)]
)
def test_the_nearest_word_is_found_or_none(word: str, expected: str | None) -> None:
    """Misspellings and capitals are found, anything else is not guessed at."""
    assert nearest(word, ["backup-notes", "copy-notes", "phases"]) == expected
