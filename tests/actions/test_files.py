"""Files of records: what is read exactly, what is refused and where, and where reading goes on."""

from __future__ import annotations

import datetime
import gzip
import json
import random
import resource
from pathlib import Path

import bson
import pytest
from bson import json_util
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.model.plan import Verdict
from executor.contract import StepFailed
from executor.stores.files.elements import elements, with_id_first
from executor.stores.files.records import MAX_LINE, FileSource, bson_of_line, bson_problem

DOCUMENTS: list[dict[str, object]] = [
    {"_id": bson.ObjectId(b"abcdefghijkl"), "n": 1, "long": bson.Int64(1), "pi": 3.5, "text": "käse\n\0"},
    {"_id": "a", "nested": {"b": [1, {"c": None}]}, "when": datetime.datetime(2026, 11, 22, 12)},
    {"_id": 7, "old": bson.Binary(b"x", 2), "uuid": bson.Binary(b"0" * 16, 4), "bin": b"\xff\0"},
    {"_id": {"k": 1}, "dec": bson.Decimal128("0.10"), "ts": bson.Timestamp(1, 2), "re": bson.Regex("a", "i")},
    {"_id": None, "min": bson.MinKey(), "max": bson.MaxKey(), "code": bson.Code("f()"), "nan": float("inf")},
    {"_id": 1.5, "far": bson.DatetimeMS(2**60), "scope": bson.Code("g()", {"x": 1}), "yes": True},
]
RECORDS = [bson.encode(document) for document in DOCUMENTS]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def json_lines(documents: list[dict[str, object]], options: json_util.JSONOptions) -> bytes:
    return b"".join(json_util.dumps(item, json_options=options).encode() + b"\n" for item in documents)


def everything(source: FileSource, after: bytes | None = None) -> list[bytes]:
    return [record for batch in source.read(after) for record in batch.records]


@pytest.mark.parametrize("suffix", [".bson", ".bson.gz"])
def test_bson_comes_byte_for_byte(tmp_path: Path, suffix: str) -> None:
    """Every BSON type arrives from a dump as the bytes that it was."""
    path = write(tmp_path / f"dump{suffix}", b"".join(RECORDS))
    assert everything(FileSource(path)) == RECORDS


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_canonical_extended_json_is_exact(tmp_path: Path, suffix: str) -> None:
    """Canonical extended JSON gives the same bytes as the documents that it was made of."""
    path = write(tmp_path / f"dump{suffix}", json_lines(DOCUMENTS, json_util.CANONICAL_JSON_OPTIONS))
    assert everything(FileSource(path)) == RECORDS


def test_relaxed_extended_json(tmp_path: Path) -> None:
    """Relaxed extended JSON gives plain numbers and dates, blank lines are none."""
    text = b'\xef\xbb\xbf{"_id": 1, "x": 1.0, "big": 5000000000}\r\n\n{"_id": {"$oid": "%s"}}' % (b"ab" * 12)
    read = everything(FileSource(write(tmp_path / "x.jsonl", text)))
    assert read == [
        bson.encode({"_id": 1, "x": 1.0, "big": 5_000_000_000}),
        bson.encode({"_id": bson.ObjectId("ab" * 12)}),
    ]


def test_id_comes_first(tmp_path: Path) -> None:
    """A record's ``_id`` is moved to the front, as the server would, and nothing else is touched."""
    document = {"a": 1, "b": [1, 2], "_id": "x", "c": bson.Binary(b"old", 2)}
    lines = json_lines([document], json_util.CANONICAL_JSON_OPTIONS)
    expected = [bson.encode({"_id": "x", "a": 1, "b": [1, 2], "c": bson.Binary(b"old", 2)})]
    assert everything(FileSource(write(tmp_path / "x.jsonl", lines))) == expected
    assert everything(FileSource(write(tmp_path / "x.bson", bson.encode(document)))) == expected


def test_record_without_id_gets_the_same_one_every_time(tmp_path: Path) -> None:
    """Records without an ``_id`` get one each that does not change from one reading to the next."""
    path = write(tmp_path / "x.jsonl", b'{"a": 1}\n{"a": 1}\n')
    first = [bson.decode(record) for record in everything(FileSource(path))]
    assert first[0]["_id"] != first[1]["_id"]
    assert list(first[0]) == ["_id", "a"]
    assert [bson.decode(record) for record in everything(FileSource(path, batch_records=1))] == first


def test_empty_file_has_no_records(tmp_path: Path) -> None:
    """An empty dump is a dump of nothing."""
    for name in ("x.bson", "x.jsonl", "x.bson.gz", "x.jsonl.gz"):
        assert everything(FileSource(write(tmp_path / name, b""))) == []


def test_batches_by_records_and_bytes(tmp_path: Path) -> None:
    """A batch ends when it has enough records or enough bytes."""
    path = write(tmp_path / "x.bson", b"".join(bson.encode({"_id": i, "x": "y" * 80}) for i in range(10)))
    assert [len(batch.records) for batch in FileSource(path, batch_records=4).read(None)] == [4, 4, 2]
    sizes = [(len(batch.records), batch.size) for batch in FileSource(path, batch_bytes=150).read(None)]
    assert sizes == [(2, sum(map(len, everything(FileSource(path))[:2])))] * 5


@pytest.mark.parametrize("suffix", [".bson", ".bson.gz", ".jsonl", ".jsonl.gz"])
def test_reading_goes_on_where_it_stopped(tmp_path: Path, suffix: str) -> None:
    """From every batch on, the rest is exactly what comes after it; up to a batch, what comes before."""
    documents: list[dict[str, object]] = [{"_id": i, "x": "é" * (i % 7)} for i in range(50)]
    lines = b"".join(
        json_lines([item], json_util.RELAXED_JSON_OPTIONS) + b"\n" * (i % 3)
        for i, item in enumerate(documents)
    )
    data = lines if "jsonl" in suffix else b"".join(map(bson.encode, documents))
    source = FileSource(write(tmp_path / f"x{suffix}", data), batch_records=7)
    whole = everything(source)
    read = 0
    for batch in source.read(None):
        read += len(batch.records)
        assert everything(source, batch.resume) == whole[read:]
        until = [record for part in source.read(None, batch.resume) for record in part.records]
        assert until in (whole[:read], whole[: read - 1])


def test_another_file_in_its_place(tmp_path: Path) -> None:
    """A file that changed its size since it was begun is not gone on with."""
    path = write(tmp_path / "x.bson", b"".join(RECORDS))
    resume = next(iter(FileSource(path, batch_records=2).read(None))).resume
    write(path, b"".join(RECORDS[1:]))
    with pytest.raises(StepFailed, match="is not the file that was begun"):
        everything(FileSource(path), resume)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("away.bson", "No such file"),
        ("folder.bson", "is not a file"),
        ("notes.txt", "has no format"),
        ("notes.csv.gz", "has no format"),
    ],
)
def test_file_that_cannot_be_read_at_all(tmp_path: Path, name: str, told: str) -> None:
    """What is no readable file of a known format is refused before anything was done."""
    (tmp_path / "folder.bson").mkdir()
    with pytest.raises(StepFailed, match=told) as caught:
        everything(FileSource(tmp_path / name))
    assert caught.value.verdict is Verdict.ABSENT


def test_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    """A file in a place where there cannot be one is told with the system's reason."""
    write(tmp_path / "file", b"")
    with pytest.raises(StepFailed, match="Not a directory"):
        everything(FileSource(tmp_path / "file" / "x.bson"))


BAD_BSON = {
    "cut off in a record": (b"".join(RECORDS)[:-3], 6, "it is cut off after"),
    "cut off in a length": (RECORDS[0] + b"\x09\0", 2, "it is cut off after 2 bytes"),
    "a length that is none": (RECORDS[0] + b"\xff\xff\xff\xffxxxx", 2, "its length would be -1 bytes"),
    "a length of terabytes": (
        RECORDS[0] + b"\xff\xff\xff\x7f" + b"x" * 99,
        2,
        "its length would be 2147483647",
    ),
    "no document": (b"\x08\0\0\0abcd", 1, "it is no BSON document"),
    "text": (b"{'_id': 1}" * 5, 1, "its length would be"),
    "gzip by another name": (gzip.compress(RECORDS[0]), 1, "the file is compressed|it is cut off"),
}


@pytest.mark.parametrize("name", BAD_BSON)
@pytest.mark.parametrize("suffix", [".bson", ".bson.gz"])
def test_broken_bson_is_told_with_its_place(tmp_path: Path, name: str, suffix: str) -> None:
    """A dump that is broken stops with the record and the byte, after all the good ones before it."""
    data, record, told = BAD_BSON[name]
    source = FileSource(write(tmp_path / f"x{suffix}", data), batch_records=1)
    read = []
    with pytest.raises(StepFailed, match=told) as caught:
        for batch in source.read(None):
            read.extend(batch.records)
    assert read == RECORDS[: record - 1]
    byte = sum(map(len, RECORDS[: record - 1]))
    assert f"x{suffix}: record {record} (at byte {byte})" in caught.value.message


BAD_LINES = {
    "garbage": (b"\x00\x01\x02garbage\n", "it is no JSON"),
    "not UTF-8": (b'{"a": "\xff"}\n', "it is not UTF-8"),
    "cut off": (b'{"_id": 1, "a":', "it is no JSON"),
    "a list": (b"[1, 2]\n", "it is no document"),
    "a number": (b"7\n", "it is no document"),
    "an ObjectId alone": (b'{"$oid": "%s"}\n' % (b"ab" * 12), "it is no document"),
    "a field twice": (b'{"_id": 1, "a": 1, "a": 2}\n', "the field 'a' is there twice"),
    "no date": (b'{"_id": 1, "a": {"$date": "soon"}}\n', "it is no extended JSON"),
    "no ObjectId": (b'{"_id": {"$oid": "xyz"}}\n', "it is no extended JSON"),
    "no decimal": (b'{"_id": {"$numberDecimal": "one"}}\n', "it is no extended JSON"),
    "an empty ObjectId": (b'{"_id": {"$oid": null}}\n', "an ObjectId must be text"),
    "no long": (b'{"_id": {"$numberLong": {}}}\n', "it is no extended JSON"),
    "a number beyond 64 bits": (b'{"_id": 1, "a": 99999999999999999999}\n', "that BSON can hold"),
    "a name with a zero": (b'{"_id": 1, "a\\u0000b": 1}\n', "that BSON can hold"),
    "half a surrogate": (b'{"_id": 1, "a": "\\ud800"}\n', "that BSON can hold"),
    "nested deeply": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_broken_line_is_told_with_its_place(tmp_path: Path, name: str) -> None:
    """A line that is no document stops with its record and byte: it is not skipped."""
    line, told = BAD_LINES[name]
    source = FileSource(write(tmp_path / "x.jsonl", b'{"_id": 0}\n\n' + line), batch_records=1)
    with pytest.raises(StepFailed, match=told) as caught:
        everything(source)
    assert "x.jsonl: record 2 (at byte 12)" in caught.value.message


@pytest.mark.parametrize("suffix", [".bson.gz", ".jsonl.gz"])
def test_truncated_gzip(tmp_path: Path, suffix: str) -> None:
    """A compressed file that was cut off is not taken for a short one."""
    noise = random.Random(1)
    documents: list[dict[str, object]] = [{"_id": i, "x": noise.randbytes(40).hex()} for i in range(2000)]
    lines = json_lines(documents, json_util.RELAXED_JSON_OPTIONS)
    data = gzip.compress(lines if "jsonl" in suffix else b"".join(map(bson.encode, documents)))
    for length in (len(data) - 1, len(data) - 9, len(data) // 2, 5):
        (tmp_path / f"x{suffix}").write_bytes(data[:length])
        with pytest.raises(StepFailed, match="the compressed data is cut off"):
            everything(FileSource(tmp_path / f"x{suffix}"))


def test_damaged_gzip(tmp_path: Path) -> None:
    """A compressed file with a wrong byte is refused, and so is one that is not compressed at all."""
    noise = random.Random(2)
    data = bytearray(gzip.compress(b"".join(bson.encode({"_id": noise.randbytes(40)}) for _ in range(2000))))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "x.bson.gz").write_bytes(data)
    with pytest.raises(StepFailed, match=r"the compressed data is damaged|it is no BSON document"):
        everything(FileSource(tmp_path / "x.bson.gz"))
    (tmp_path / "x.bson.gz").write_bytes(RECORDS[0])
    with pytest.raises(StepFailed, match="the compressed data is damaged"):
        everything(FileSource(tmp_path / "x.bson.gz"))


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".bson.gz"])
def test_decompression_bomb_is_bounded(tmp_path: Path, suffix: str) -> None:
    """Gigabytes in a few kilobytes are refused without being held in memory."""
    unit = gzip.compress(
        b'"' + b"x" * (1 << 20) if "jsonl" in suffix else bson.encode({"_id": "x" * (1 << 20)})
    )
    path = tmp_path / f"x{suffix}"
    if "jsonl" in suffix:
        path.write_bytes(unit * 1000)
        with pytest.raises(StepFailed, match=f"its line is longer than {MAX_LINE} bytes"):
            everything(FileSource(path))
    else:
        path.write_bytes(unit * 500)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert sum(len(batch.records) for batch in FileSource(path).read(None)) == 500
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


Names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0$"), min_size=1, max_size=6)
Values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.builds(bson.ObjectId, st.binary(min_size=12, max_size=12)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(Names, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(Names, Values, max_size=6))
def test_elements_cover_a_document(document: dict[str, object]) -> None:
    """The elements of any document lie one after the other from its head to its end."""
    record = bson.encode(document)
    at = 4
    names = []
    for name, start, end in elements(record):
        assert start == at
        names.append(name.decode())
        at = end
    assert at == len(record) - 1
    assert names == list(document)


@given(st.dictionaries(Names, Values, max_size=4), Values, st.dictionaries(Names, Values, max_size=4))
def test_id_is_moved_without_a_change(
    before: dict[str, object], value: object, after: dict[str, object]
) -> None:
    """Whatever stands before it, the ``_id`` comes to the front and the rest keeps its order."""
    rest = {key: item for key, item in {**before, **after}.items() if key != "_id"}
    document = {**{key: rest[key] for key in before if key in rest}, "_id": value, **rest}
    moved = with_id_first(bson.encode(document))
    assert moved == bson.encode({"_id": value, **{k: v for k, v in document.items() if k != "_id"}})


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=60) | st.sampled_from(RECORDS), cut=st.integers(0, 80), flip=st.integers(0, 255)
)
def test_no_bytes_end_in_a_traceback(tmp_path: Path, data: bytes, cut: int, flip: int) -> None:
    """Whatever lies in a file, it is read or refused in words."""
    broken = bytes(byte ^ flip if i == cut else byte for i, byte in enumerate(data))
    for name in ("x.bson", "x.jsonl"):
        (tmp_path / name).write_bytes(broken)
        try:
            everything(FileSource(tmp_path / name))
        except StepFailed as error:
            assert name in error.message


@given(
    st.sampled_from(
        ["$oid", "$date", "$numberLong", "$numberInt", "$numberDouble", "$numberDecimal", "$binary", "$uuid",
         "$regularExpression", "$regex", "$timestamp", "$code", "$scope", "$ref", "$dbPointer", "$symbol",
         "$minKey", "$maxKey", "$undefined", "$type"]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
        max_leaves=4,
    ),
)  # fmt: skip
def test_no_extended_json_ends_in_a_traceback(name: str, value: object) -> None:
    """Whatever stands under a dollar name, it becomes BSON or a ValueError."""
    line = json.dumps({"_id": 1, "x": {name: value}}).encode()
    try:
        record = bson_of_line(line)
    except ValueError as error:
        assert str(error)
    else:
        assert bson_problem(record) == ""
        assert bson_of_line(line) == record
