"""Files that are made to hurt: each gets a diagnostic, quickly, and nothing else happens."""

from __future__ import annotations

import pytest

from compiler.diagnostics import Collector, render_all
from compiler.source.read import LIMIT_BYTES, read_yaml
from compiler.source.tree import MappingNode


def told(data: bytes) -> list[str]:
    """The codes that some bytes earn; the rendered text has neither control characters nor endless lines."""
    collector = Collector()
    read_yaml(data, "plan.yaml", collector)
    text = render_all(collector.diagnostics, collector.sources)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert max(map(len, text.splitlines()), default=0) < 600
    return [item.code for item in collector.diagnostics]


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- ", b"? "])
def test_200_000_open_brackets_do_not_bring_the_process_down(opening: bytes) -> None:
    """The parser's recursion is never entered: nesting stops at its limit."""
    assert told(opening * 200_000) == ["too-deep"]


def test_a_hundred_levels_are_read_and_one_more_is_not() -> None:
    """The limit is exact."""
    assert told(b"[" * 100 + b"]" * 100) == []
    assert told(b"[" * 101 + b"]" * 101) == ["too-deep"]


def test_aliases_cannot_stack_depth() -> None:
    """Ninety levels that hold an alias of ninety levels are too deep together."""
    deep = b"a: &a " + b"[" * 60 + b"]" * 60
    assert told(deep + b"\nb: " + b"[" * 60 + b"*a" + b"]" * 60) == ["too-deep"]


def test_an_alias_bomb_is_not_set_off() -> None:
    """Nine levels of ten aliases each would be a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert told("\n".join(lines).encode()) == ["too-many-values"]


def test_a_long_text_that_aliases_repeat_is_a_bomb_too() -> None:
    """A megabyte, a thousand times."""
    assert told(b"a: &a " + b"x" * 1_000_000 + b"\nb: [" + b"*a, " * 1000 + b"]") == ["too-many-values"]


def test_a_million_small_values_are_too_many() -> None:
    """A plan that large is a data file."""
    assert told(b"[" + b"1," * 1_100_000 + b"]") == ["too-many-values"]


def test_very_many_aliases_are_too_many() -> None:
    """Even of something small."""
    assert told(b"a: &a 1\nb: [" + b"*a," * 100_001 + b"]") == ["too-many-values"]


def test_a_merge_bomb_is_not_set_off() -> None:
    """Merged mappings count with all their keys."""
    keys = ", ".join(f"k{n}: {n}" for n in range(1000))
    merges = "\n".join(f"m{n}: {{<<: *a}}" for n in range(1000))
    assert told(f"a: &a {{{keys}}}\n{merges}\n".encode()) == ["too-many-values"]


def test_a_node_cannot_contain_itself() -> None:
    """Neither directly nor by a detour, nor by a merge."""
    assert told(b"a: &a [*a]") == ["alias-loop"]
    assert told(b"a: &a {b: {c: [*a]}}") == ["alias-loop"]
    assert told(b"a: &a {<<: *a}") == ["alias-loop"]


@pytest.mark.parametrize(
    "tag",
    [
        b"!!python/object/apply:os.system [reboot]",
        b"!!python/name:os.system ''",
        b"!!binary aGVsbG8=",
        b"!!timestamp 2026-01-01",
        b"!!set {a}",
        b"!!omap []",
        b"!include secrets.yaml",
        b"!<tag:example.org,2026:x> y",
    ],
)
def test_no_tag_builds_anything(tag: bytes) -> None:
    """Tags beyond the core schema are refused, whatever they promise."""
    assert told(b"a: " + tag) == ["yaml-tag"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_recognised(encoding: str) -> None:
    """With or without a byte order mark the message names what it found."""
    collector = Collector()
    read_yaml("kind: MigrationPlan\n".encode(encoding), "plan.yaml", collector)
    [found] = collector.diagnostics
    assert found.code == "encoding" and encoding[:6].upper() in found.detail


@pytest.mark.parametrize(
    "data", [b"a: \xe4\n", b"a: \xc3", b"\x80", b"a: \xed\xa0\x80", b"a: \xf4\x90\x80\x80"]
)
def test_bytes_that_are_no_utf_8_are_told_with_their_place(data: bytes) -> None:
    """Latin-1, a cut-off character, a stray byte, a surrogate, a point beyond Unicode."""
    collector = Collector()
    read_yaml(data, "plan.yaml", collector)
    [found] = collector.diagnostics
    assert found.code == "encoding" and found.span is not None
    assert found.span.column == (1 if data == b"\x80" else 4)


@pytest.mark.parametrize(
    "data", [b"a: \0", b"\0", b"a: \x07", b"\x7fELF", "a: \ufffe".encode(), "a: \x85\x80".encode()]
)
def test_control_characters_are_told_one_by_one(data: bytes) -> None:
    """NUL bytes and their kin, wherever they stand."""
    assert set(told(data)) == {"control-character"}


def test_a_binary_file_does_not_flood_the_screen() -> None:
    """Of a hundred thousand bad characters ten are shown, and the number."""
    assert told(b"\x01" * 100_000) == ["control-character"] * 11


def test_a_file_of_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    """The limit is exact, and the largest file is no hardship."""
    assert told(b"a: 1\n" + b"#" * (LIMIT_BYTES - 5)) == []
    assert told(b"a: 1\n" + b"#" * (LIMIT_BYTES - 4)) == ["file-too-large"]


def test_huge_numbers_are_refused_at_once() -> None:
    """A million digits are not computed with."""
    assert told(b"a: " + b"9" * 1_000_000) == ["number-range"]
    assert told(b"a: 0x" + b"f" * 1_000_000) == ["number-range"]
    assert told(b"a: 1e" + b"9" * 1_000_000) == ["number-range"]
    assert told(b"a: 0." + b"1" * 1_000_000) == []


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"---\n", b"---\n...\n", b"null", b"~", b"# x", b"\xef\xbb\xbf"]
)
def test_a_file_without_content_is_told_so(data: bytes) -> None:
    """However the nothing is written."""
    assert told(data) == ["empty-file"]


@pytest.mark.parametrize(
    "data",
    [
        *(b"a: [", b"a: {b", b"a: 'b", b'a: "\\q"', b"a: b: c", b"a\nb: c", b"- a\nb: c", b"a: @b", b"a: *"),
        *(b"%YAML 9\n---\na", b"a: |x\n", b"a:\n\tb: c", b"a: [b]]", b"!e!x y", b"a: &\n", b"? ? ]"),
        *(b"\xef\xbb\xbf\xef\xbb\xbf]", b'"\\ud800"'),
    ],
)
def test_broken_syntax_is_told_with_its_place(data: bytes) -> None:
    """The parser's complaint becomes one diagnostic."""
    found = told(data)
    assert found and set(found) <= {"yaml-syntax", "control-character", "key-not-text"}


def test_ten_thousand_duplicate_keys_are_told_one_by_one() -> None:
    """Many faults cost no more than many lines."""
    assert told(b"a: 1\n" * 10_001) == ["duplicate-key"] * 10_000


def test_an_endless_key_is_cut_where_it_is_shown() -> None:
    """A name may be as long as a line, a message may not."""
    key = b"k" * 1000
    assert told(key + b": 1\n" + key + b": 2\n") == ["duplicate-key"]


def test_a_second_document_does_not_hide_the_first() -> None:
    """The first is read, the second refused."""
    collector = Collector()
    root = read_yaml(b"a: 1\n---\nb: [", "plan.yaml", collector)
    assert isinstance(root, MappingNode) and root.plain() == {"a": 1}
    assert [item.code for item in collector.diagnostics] == ["several-documents"]
