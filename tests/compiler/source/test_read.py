"""Trees from YAML: values, places, aliases."""

from __future__ import annotations

from compiler.diagnostics import Collector, Span
from compiler.source.read import read_yaml
from compiler.source.tree import MappingNode, ScalarNode, SequenceNode, at

PLAN = """\
metadata:
  name: small   # a comment
  labels: {a: "x", b: 'y'}
list:
- one
- two: 2
  three: |
    text
    more
empty:
last: [1, 2]
"""


def tree(text: str) -> MappingNode:
    """The tree of a text without faults."""
    collector = Collector()
    root = read_yaml(text.encode(), "plan.yaml", collector)
    assert collector.diagnostics == ()
    assert isinstance(root, MappingNode)
    return root


def codes(text: str) -> list[str]:
    """The codes that a text earns."""
    collector = Collector()
    read_yaml(text.encode(), "plan.yaml", collector)
    return [item.code for item in collector.diagnostics]


def test_a_tree_has_the_documents_values() -> None:
    """Mappings, lists and scalars of every style come out as plain values, in order."""
    assert tree(PLAN).plain() == {
        "metadata": {"name": "small", "labels": {"a": "x", "b": "y"}},
        "list": ["one", {"two": 2, "three": "text\nmore\n"}],
        "empty": None,
        "last": [1, 2],
    }
    assert list(tree(PLAN).entries) == ["metadata", "list", "empty", "last"]


def test_every_node_knows_its_place() -> None:
    """Lines and columns count from 1, in characters; a block ends where its last value does."""
    root = tree(PLAN)
    name = at(root, ["metadata", "name"])
    assert name is not None and name.span == Span("plan.yaml", 2, 9, 2, 14)
    assert root.key_span("list") == Span("plan.yaml", 4, 1, 4, 5)
    labels = at(root, ["metadata", "labels"])
    assert labels is not None and labels.span == Span("plan.yaml", 3, 11, 3, 27)
    entries = at(root, ["list"])
    assert entries is not None and (entries.span.line, entries.span.column) == (5, 1)
    metadata = at(root, ["metadata"])
    assert metadata is not None and metadata.span == Span("plan.yaml", 2, 3, 3, 27)


def test_columns_count_characters_and_not_bytes() -> None:
    """A key after an umlaut, an emoji and a tab is where an editor shows it."""
    root = tree('{"ä😀": 1,\t b: 2}')
    assert root.key_span("b").column == 12


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    """UTF-8 with a byte order mark is UTF-8."""
    collector = Collector()
    root = read_yaml(b"\xef\xbb\xbfname: x", "plan.yaml", collector)
    assert root is not None and root.plain() == {"name": "x"} and not collector.diagnostics


def test_windows_line_ends_change_nothing() -> None:
    """Lines may end in CR LF; columns and values are the same."""
    root = tree("a: x\r\nb: y\r\n")
    assert root.plain() == {"a": "x", "b": "y"}
    assert root.value_span("b") == Span("plan.yaml", 2, 4, 2, 5)


def test_at_finds_nodes_by_path_and_nothing_elsewhere() -> None:
    """A path of keys and indexes leads to a node; a path that leads nowhere to None."""
    root = tree(PLAN)
    found = at(root, ["list", 1, "two"])
    assert isinstance(found, ScalarNode) and found.value == 2
    assert at(root, []) is root
    assert at(root, ["list", 7]) is None
    assert at(root, ["metadata", 0]) is None
    assert at(root, ["list", "one"]) is None


def test_an_alias_repeats_its_node() -> None:
    """The node of an alias is the anchor's own, so that its places stay those of what was written."""
    root = tree("a: &x {k: v}\nb: *x\nc: [*x, *x]\n")
    assert root.plain() == {"a": {"k": "v"}, "b": {"k": "v"}, "c": [{"k": "v"}, {"k": "v"}]}
    assert at(root, ["b"]) is at(root, ["a"])


def test_an_anchor_that_is_set_again_counts_from_there() -> None:
    """As YAML has it, an alias repeats the last anchor of its name before it."""
    assert tree("a: &x 1\nb: *x\nc: &x 2\nd: *x\n").plain() == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_merge_keys_take_over_what_is_not_written() -> None:
    """Keys beside '<<' win, and of several mappings the first."""
    root = tree("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 0}\nd: {<<: *b}\n")
    assert root.plain() == {
        "a": {"x": 1, "y": 2},
        "b": {"y": 3, "z": 4},
        "c": {"x": 0, "y": 2, "z": 4},
        "d": {"y": 3, "z": 4},
    }


def test_a_quoted_merge_key_is_a_key() -> None:
    """Only a plain '<<' merges."""
    assert tree("'<<': 1").plain() == {"<<": 1}


def test_an_alias_can_be_a_key_if_it_is_text() -> None:
    """What counts is the node that the alias repeats."""
    assert tree("a: &x name\n*x : 1\n").plain() == {"a": "name", "name": 1}


def test_core_tags_say_what_they_say_anyway() -> None:
    """The core schema's tags are read, and turn what they stand on where that is possible."""
    root = tree("a: !!str 12\nb: !!int '12'\nc: !!float 1\nd: !!map {}\ne: !!seq []\nf: !!null ''\ng: ! 1\n")
    assert root.plain() == {"a": "12", "b": 12, "c": 1.0, "d": {}, "e": [], "f": None, "g": "1"}


def test_all_faults_of_a_file_are_told_in_one_run() -> None:
    """Five faults of five sorts do not hide one another."""
    text = "a: 1\na: 2\nb: .nan\nc: !x y\nd: *nobody\n5: e\n"
    assert codes(text) == ["duplicate-key", "number-range", "yaml-tag", "unknown-alias", "key-not-text"]


def test_faults_before_a_syntax_error_are_told_too() -> None:
    """What was read before the parser gave up is judged."""
    assert codes("a: 1\na: 2\nb: [\n") == ["duplicate-key", "yaml-syntax"]


def test_the_first_of_two_equal_keys_counts() -> None:
    """Later passes go on with the first value, and only that."""
    collector = Collector()
    root = read_yaml(b"a: 1\na: 2\n", "plan.yaml", collector)
    assert root is not None and root.plain() == {"a": 1}


def test_a_value_with_a_fault_is_no_text_to_later_passes() -> None:
    """A broken scalar is marked, so that nobody complains about its value again."""
    root = read_yaml(b"a: !x y\nb: [!x z, w]", "plan.yaml", Collector())
    assert isinstance(root, MappingNode)
    assert root.text("a") is None
    assert [text for text, _ in root.texts("b")] == ["w"]


def test_accessors_answer_with_nothing_where_something_else_stands() -> None:
    """A pass can ask any document anything."""
    root = tree("a: x\nb: [1, two, {c: d}]\ne: true\nf: {g: h}\n")
    assert (root.text("b"), root.text("nothing"), root.text("a")) == (None, None, "x")
    assert (root.flag("e"), root.flag("a"), root.flag("nothing")) == (True, False, False)
    assert root.mapping("a") is None and isinstance(root.mapping("f"), MappingNode)
    assert root.items("a") == () and len(root.items("b")) == 3
    assert len(root.mappings("b")) == 1
    assert [text for text, _ in root.texts("b")] == ["two"]
    assert isinstance(root.get("b"), SequenceNode)
    assert root.key_span("nothing") == root.value_span("nothing") == Span("plan.yaml", 1, 1, 1, 2)


def test_a_tab_is_named_in_the_message() -> None:
    """A tab as indentation is the commonest fault that cannot be seen."""
    collector = Collector()
    read_yaml(b"a:\n\tb: 1\n", "plan.yaml", collector)
    [found] = collector.diagnostics
    assert found.code == "yaml-syntax" and "tab" in found.detail and found.hint == "Indent with spaces."


def test_an_unquoted_variable_in_brackets_is_explained() -> None:
    """'${' in a flow list begins a mapping, which nobody expects."""
    collector = Collector()
    read_yaml(b"a: [x-${name}]\n", "plan.yaml", collector)
    [found] = collector.diagnostics
    assert "${" in found.detail and "quotes" in found.hint
