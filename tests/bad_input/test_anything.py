"""Whatever is in a file, a compile ends in diagnostics or in a plan, never in an exception."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.compilation import Request
from compiler.diagnostics import Collector, render_all
from compiler.pipeline import compile_plan
from compiler.source.files import FileMissing, sha256

COMPLETE = Path(__file__).parent.parent / "compiler" / "source" / "complete"
PLAN = (COMPLETE / "plan.yaml").read_bytes()
STRATEGY = (COMPLETE / "rollback.yaml").read_bytes()
TRANSFORM = (COMPLETE / "transforms" / "notes.yaml").read_bytes()


class GivenFiles:
    """The files of a project that exists only here."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self._contents = contents

    def read(self, path: str, limit: int) -> bytes:
        return self._content(path)[:limit]

    def digest(self, path: str) -> str:
        return sha256(self._content(path))

    def _content(self, path: str) -> bytes:
        if path not in self._contents:
            raise FileMissing(f"there is no file '{path}'")
        return self._contents[path]


def compile_all(plan: bytes, strategy: bytes = STRATEGY, transform: bytes = TRANSFORM) -> None:
    """Compile and render: every diagnostic has a code, and no text breaks a terminal."""
    files = GivenFiles({"plan.yaml": plan, "rollback.yaml": strategy, "transforms/notes.yaml": transform})
    collector = Collector()
    compilation = compile_plan(Request(path="plan.yaml", files=files), collector)
    text = render_all(collector.diagnostics, collector.sources)
    assert all(character.isprintable() or character == "\n" for character in text)
    if compilation is None or compilation.plan is None:
        assert collector.failed


@st.composite
def cut_up(draw: st.DrawFn, data: bytes) -> bytes:
    """Some bytes with a few pieces removed, doubled, moved or replaced."""
    pieces = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(pieces)))
        end = draw(st.integers(start, min(len(pieces), start + 60)))
        piece = bytes(pieces[start:end])
        how = draw(st.sampled_from(["remove", "double", "replace", "move"]))
        if how == "remove":
            del pieces[start:end]
        elif how == "double":
            pieces[start:start] = piece
        elif how == "replace":
            pieces[start:end] = draw(st.one_of(st.binary(max_size=8), st.sampled_from(SNIPPETS)))
        else:
            del pieces[start:end]
            target = draw(st.integers(0, len(pieces)))
            pieces[target:target] = piece
    return bytes(pieces)


SNIPPETS = [
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b": ",
        b"- ",
        b"? ",
        b"\n",
        b"  ",
        b"\t",
        b"'",
        b'"',
        b"|",
        b">",
        b"#",
        b"---\n",
    ),
    *(b"&a ", b"*a", b"<<: ", b"!!str ", b"!x ", b"null", b"1e999", b".nan", b"id: copy-notes", b"a.b"),
    *(b"${", b"${batch}", b"$${", b"{{ x }}", b"\0", b"\xff", b"\r"),
    *("\u2028".encode(), "\u202e".encode(), "\U0001f600".encode()),
]

EXAMPLES = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EXAMPLES
@given(st.binary(max_size=300))
def test_random_bytes_are_told_and_never_raised(data: bytes) -> None:
    """Noise in the place of a plan."""
    compile_all(data)


@EXAMPLES
@given(st.lists(st.sampled_from(SNIPPETS), max_size=60).map(b"".join))
def test_random_yaml_punctuation_is_told_and_never_raised(data: bytes) -> None:
    """What a parser finds hardest."""
    compile_all(data)


@EXAMPLES
@given(cut_up(PLAN))
def test_a_plan_that_was_cut_up_is_told_and_never_raised(data: bytes) -> None:
    """Every pass meets documents that are nearly right."""
    compile_all(data)


@EXAMPLES
@given(cut_up(STRATEGY), cut_up(TRANSFORM))
def test_cut_up_parts_are_told_and_never_raised(strategy: bytes, transform: bytes) -> None:
    """The same for what the plan includes."""
    compile_all(PLAN, strategy, transform)
