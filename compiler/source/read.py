"""Bytes to a tree: encoding, YAML events, limits.

The tree is built from PyYAML's event stream. ``yaml.compose`` is not used: with libyaml it recurses in
C and kills the process on deeply nested input.
"""

from __future__ import annotations

import codecs
import gc
import re

import yaml

from compiler.diagnostics import Collector, Span
from compiler.source.build import LIMIT_DEPTH, Builder, TooMuch
from compiler.source.syntax import report_syntax
from compiler.source.tree import Node, ScalarNode

LIMIT_BYTES = 16 * 1024 * 1024
"""The largest document that is read."""

_LOADER: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The longest first: UTF-16's little-endian mark is the beginning of UTF-32's.
_FOREIGN_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_TOLD_CHARACTERS = 10

__all__ = ["LIMIT_BYTES", "LIMIT_DEPTH", "read_yaml"]


def read_yaml(data: bytes, file: str, collector: Collector) -> Node | None:
    """The tree of the one YAML document in ``data``; None if there is none that can be trusted.

    ``file`` is the path as users see it. Every fault is reported to ``collector``, which also gets the
    text for its excerpts. A tree is returned in spite of faults that leave its shape intact (a
    duplicate key, a number out of range), so that later passes can tell theirs in the same run.
    """
    text = _decode(data, file, collector)
    if text is None:
        return None
    collector.sources.add(file, text)
    if not _check_characters(text, file, collector):
        return None
    return _parse(text, file, collector)


def _decode(data: bytes, file: str, collector: Collector) -> str | None:
    if len(data) > LIMIT_BYTES:
        collector.report(
            "file-too-large",
            Span.point(file),
            f"the file has {len(data):,} bytes; the limit is {LIMIT_BYTES:,}",
        )
        return None
    foreign = next((name for mark, name in _FOREIGN_MARKS if data.startswith(mark)), None)
    if foreign is None and len(data) >= 4 and data[:4].count(0) >= 2:
        foreign = "UTF-32" if data[:4].count(0) == 3 else "UTF-16"
    if foreign is not None:
        collector.report(
            "encoding", Span.point(file), f"the file looks like {foreign}", "Save the file as UTF-8."
        )
        return None
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        good = data[: error.start].removeprefix(codecs.BOM_UTF8).decode("utf-8")
        # What cannot be decoded is shown as the replacement character, in its place.
        collector.sources.add(file, data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace"))
        collector.report(
            "encoding",
            _place(good, len(good), file),
            f"the byte 0x{data[error.start]:02x} is not part of a UTF-8 character ({error.reason})",
            "Save the file as UTF-8.",
        )
        return None


def _check_characters(text: str, file: str, collector: Collector) -> bool:
    found = 0
    for match in _NOT_TEXT.finditer(text):
        found += 1
        if found <= _TOLD_CHARACTERS:
            point = ord(match.group())
            name = "a NUL byte" if point == 0 else f"the character U+{point:04X}"
            collector.report("control-character", _place(text, match.start(), file), f"{name} stands here")
    if found > _TOLD_CHARACTERS:
        collector.report(
            "control-character",
            Span.point(file),
            f"{found:,} such characters are in the file; the first {_TOLD_CHARACTERS} are shown",
            "The file is probably not text.",
        )
    return found == 0


def _place(text: str, offset: int, file: str) -> Span:
    """The span of the character at ``offset``."""
    line, start = 1, 0
    for match in _BREAK.finditer(text, 0, offset):
        line, start = line + 1, match.end()
    return Span.point(file, line, offset - start + 1)


def _parse(text: str, file: str, collector: Collector) -> Node | None:
    builder = Builder(file, collector)
    # Millions of small objects without a cycle: the collector would look at them again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
            if builder.ended:
                break
    except TooMuch:
        return None
    except yaml.MarkedYAMLError as error:
        report_syntax(error, file, collector)
        return None
    finally:
        if collecting:
            gc.enable()
    root = builder.root
    if root is None or (isinstance(root, ScalarNode) and root.value is None and not root.broken):
        collector.report(
            "empty-file", Span.point(file), "there is no document in it", "Start with 'apiVersion: plan/v1'."
        )
        return None
    return root
