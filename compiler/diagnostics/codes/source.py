"""Codes of the reader: bytes to a tree of YAML nodes."""

from __future__ import annotations

from compiler.diagnostics.codes.entry import Code

CODES = (
    Code(
        "yaml-syntax",
        "error",
        "The file is not valid YAML",
        """
The YAML parser could not read the file from this place on. Usual causes: a tab used for indentation,
a line indented differently from its neighbours, a quote or bracket that is never closed, or a value
with ': ' or ' #' in it that needs quotes.

Everything after the place is unread, so there may be more faults behind it.
""",
    ),
    Code(
        "encoding",
        "error",
        "The file is not UTF-8",
        """
Plans are UTF-8 text, with or without a byte order mark. Save the file as UTF-8; editors call this the
file's encoding. UTF-16 and UTF-32 are recognised and named, other encodings are not.
""",
    ),
    Code(
        "control-character",
        "error",
        "The file contains a character that text must not contain",
        """
NUL bytes and control characters other than tab, line feed and carriage return are not allowed in YAML.
They usually mean that the file is not text at all, or was damaged on its way. In a quoted string a
control character can be written as an escape: "\\x1b".
""",
    ),
    Code(
        "file-too-large",
        "error",
        "The file is larger than a plan may be",
        """
A plan, a rollback strategy and a transform may have 16 MB each. Records belong into data files that
a task's action refers to, not into the plan.
""",
    ),
    Code(
        "empty-file",
        "error",
        "The file has no content",
        """
The file is empty, or holds nothing but comments or the word null. A document starts with its
'apiVersion' and 'kind'.
""",
    ),
    Code(
        "several-documents",
        "error",
        "The file has more than one YAML document",
        """
A line of three dashes starts another document. A file holds one: write the rollback strategy and the
transforms into files of their own and name them in the plan.
""",
    ),
    Code(
        "duplicate-key",
        "error",
        "A key is written twice in one mapping",
        """
YAML mappings have each key once. Most parsers keep the last and drop the first in silence; here it is
an error, because one of the two was meant differently. Remove or rename one.
""",
    ),
    Code(
        "key-not-text",
        "error",
        "A key is not text",
        """
Keys are text. A number, true, false, null, a list or a mapping in the place of a key is refused,
because it would have to be turned into text in a way that not all tools share. Quote it: "1": one.
""",
    ),
    Code(
        "yaml-tag",
        "error",
        "A YAML tag is not allowed",
        """
Tags such as !!python/object, !include or !Ref ask the reader to build something other than plain
data. Plans are plain data, so only the tags of YAML's core schema (!!str, !!int, !!float, !!bool,
!!null, !!seq, !!map) are read, and they must fit what they stand on.
""",
    ),
    Code(
        "unknown-alias",
        "error",
        "An alias has no anchor",
        """
*name repeats the node that &name marks. The anchor must stand before the alias, in the same file. A
value that only begins with an asterisk needs quotes.
""",
    ),
    Code(
        "alias-loop",
        "error",
        "An alias lies inside the node that it repeats",
        """
The node would contain itself, without end. Repeat a smaller part of it, or write the part out.
""",
    ),
    Code(
        "too-many-values",
        "error",
        "The file means more values than a plan may have",
        """
With all aliases written out a file may have a million keys and values (a text counts once more for each
64 characters), and it may use 100,000 aliases: aliases of aliases can make a small file mean an enormous
one. Records belong into data files that a task's action refers to.
""",
    ),
    Code(
        "merge-key",
        "error",
        "A merge key has nothing to merge",
        """
'<<' takes over the keys of another mapping, or of a list of mappings; keys that are written beside it
win. Its value must be an alias of a mapping, a mapping, or a list of those.
""",
    ),
    Code(
        "too-deep",
        "error",
        "The file is nested too deep",
        """
Mappings and lists may be nested 100 deep, aliases written out. A plan needs about ten.
""",
    ),
    Code(
        "number-range",
        "error",
        "A number cannot be kept exactly",
        """
Integers must fit 64 bits (signed), and infinities and NaN are refused: JSON cannot write them and no
comparison with NaN is true. Quote the value if text was meant.
""",
    ),
)
