"""Files as sources of records: ``.bson``, ``.jsonl`` (canonical or relaxed extended JSON), gzip or not.

A file that is not what its name says stops the step, with its record (from 1) and its byte (from 0, in
what was decompressed): nothing is skipped, and what is cut off is not taken for an end.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol, cast

from compiler.model.plan import Verdict
from executor.contract import StepFailed
from executor.stores.files.elements import with_id_first, with_object_id
from executor.stores.files.vectors import record_of_line
from executor.stores.port import RecordBatch

MAX_RECORD = 16 * 1024 * 1024 + 16 * 1024
"""Bytes of a BSON record: what a server may keep, and what it needs around it in its own dumps."""

MAX_LINE = 64 * 1024 * 1024
"""Bytes of a line of extended JSON, which takes more room than the same record in BSON."""

_CHUNK = 1024 * 1024
_SHORTEST = 5  # an empty document
_GZIP = b"\x1f\x8b"

SUFFIXES = (".bson", ".bson.gz", ".jsonl", ".jsonl.gz")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read: ``record`` records, ``byte`` bytes of what was decompressed. ``size`` is
    the file's own, to notice another file in its place."""

    record: int
    byte: int
    size: int

    def to_bytes(self) -> bytes:
        return struct.pack("<QQQ", self.record, self.byte, self.size)

    @classmethod
    def from_bytes(cls, data: bytes) -> Position:
        return cls(*struct.unpack("<QQQ", data))


class FileSource:
    """A :class:`~executor.stores.port.Source` over one file. Batches end after ``batch_records`` records
    or ``batch_bytes`` bytes, whichever is first.

    A record without ``_id`` gets an ObjectId made of its content and its place in the file: the same
    one whenever the file is read. ``trusted``: the records were checked when they were written.
    ``keyed`` and ``unique`` are what is known of the file's order (see Source). ``vectors``: its lines are
    records of a vector collection (see :mod:`executor.stores.files.vectors`).
    Raises StepFailed; with the verdict ABSENT if the file cannot be read at all.
    """

    def __init__(
        self,
        path: Path,
        *,
        batch_records: int = 1000,
        batch_bytes: int = 3_000_000,
        trusted: bool = False,
        keyed: bool = False,
        unique: bool = False,
        vectors: bool = False,
    ) -> None:
        self.path = path
        self.keyed = keyed
        self.unique = unique
        self._batch_records = batch_records
        self._batch_bytes = batch_bytes
        self._trusted = trusted
        name = path.name.removesuffix(".gz")
        self._compressed = name != path.name
        if name.endswith(".jsonl"):
            self._format: type[_Format] = VectorFormat if vectors else JsonFormat
        elif name.endswith(".bson") and not vectors:
            self._format = BsonFormat
        else:
            raise StepFailed(
                f"{path.name} has no format that is known here",
                hint=f"the suffix says it: {', '.join(SUFFIXES[2:] if vectors else SUFFIXES)}",
                verdict=Verdict.ABSENT,
            )

    def read(self, after: bytes | None, until: bytes | None = None) -> Iterator[RecordBatch]:
        """See Source: from after a position to the end, or to about another one."""
        size = self._size()
        start = Position(0, 0, size) if after is None else self._known(Position.from_bytes(after), size)
        end = None if until is None else self._known(Position.from_bytes(until), size).record
        if end is not None and start.record >= end:
            return
        records: list[bytes] = []
        position, held = start, 0
        with _Opened(self.path, self._compressed, start) as file:
            for record, byte in self._format(file, start, self._trusted):
                records.append(record)
                held += len(record)
                position = Position(position.record + 1, byte, size)
                done = end is not None and position.record >= end
                if done or len(records) >= self._batch_records or held >= self._batch_bytes:
                    yield RecordBatch(records, position.to_bytes(), held)
                    records, held = [], 0
                if done:
                    return
        if records:
            yield RecordBatch(records, position.to_bytes(), held)

    def _size(self) -> int:
        try:
            status = self.path.stat()
        except OSError as error:
            raise StepFailed(
                f"{self.path} cannot be read: {error.strerror}", verdict=Verdict.ABSENT
            ) from error
        if not stat.S_ISREG(status.st_mode):
            raise StepFailed(f"{self.path} is not a file", verdict=Verdict.ABSENT)
        return status.st_size

    def _known(self, position: Position, size: int) -> Position:
        if position.size != size:
            raise StepFailed(
                f"{self.path} is not the file that was begun: it has {size} bytes, not {position.size}",
                hint="put the file back, or roll the run back",
            )
        return position


class _Opened:
    """An open file, decompressed where it is compressed, that tells its place when it cannot go on."""

    def __init__(self, path: Path, compressed: bool, start: Position) -> None:
        self.path = path
        self._compressed = compressed
        self._start = start
        self._raw: BinaryIO | None = None
        self._file: BinaryIO | None = None

    def __enter__(self) -> _Opened:
        try:
            self._raw = self.path.open("rb")
        except OSError as error:
            raise StepFailed(
                f"{self.path} cannot be read: {error.strerror}", verdict=Verdict.ABSENT
            ) from error
        self._file = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw)) if self._compressed else self._raw
        try:
            if not self._compressed and self._file.read(2) == _GZIP:
                self.broken(1, 0, "the file is compressed; its name must end with .gz then")
            self._file.seek(self._start.byte)
        except (OSError, EOFError, zlib.error) as error:
            self.close()
            self.broken(self._start.record + 1, self._start.byte, _words(error))
        except StepFailed:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        for file in (self._file, self._raw):
            if file is not None:
                file.close()

    def more(self, record: int, byte: int) -> bytes:
        """The next bytes, at most a megabyte however well they were compressed; empty at the end."""
        assert self._file is not None
        try:
            return self._file.read(_CHUNK)
        except (OSError, EOFError, zlib.error) as error:
            self.broken(record, byte, _words(error))

    def broken(self, record: int, byte: int, what: str) -> NoReturn:
        """Stop the step at a record that cannot be read."""
        raise StepFailed(f"{self.path}: record {record} (at byte {byte}) cannot be read: {what}")


def _words(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the compressed data is cut off"
    if isinstance(error, (gzip.BadGzipFile, zlib.error)):
        return f"the compressed data is damaged ({error})"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


class _Format(Protocol):
    """Records in a stream, each with the byte after it."""

    def __init__(self, file: _Opened, start: Position, trusted: bool) -> None: ...

    def __iter__(self) -> Iterator[tuple[bytes, int]]: ...


class BsonFormat:
    """Documents one after the other, as mongodump writes them."""

    def __init__(self, file: _Opened, start: Position, trusted: bool) -> None:
        self._file = file
        self._record = start.record
        self._byte = start.byte
        self._trusted = trusted

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        buffer, at = b"", 0
        while True:
            length = self._length(buffer, at)
            if length is None or at + length > len(buffer):
                more = self._file.more(self._record + 1, self._byte)
                if not more:
                    break
                buffer, at = buffer[at:] + more, 0
                continue
            record = buffer[at : at + length]
            at += length
            checked = self._checked(record)
            self._record += 1
            self._byte += length
            yield checked, self._byte
        if at < len(buffer):
            self._broken(f"it is cut off after {len(buffer) - at} bytes")

    def _length(self, buffer: bytes, at: int) -> int | None:
        """The length of the record that begins there; None if its first four bytes are not all there."""
        if at + 4 > len(buffer):
            return None
        length = int.from_bytes(buffer[at : at + 4], "little", signed=True)
        if not _SHORTEST <= length <= MAX_RECORD:
            self._broken(f"its length would be {length} bytes, and it may have {_SHORTEST} to {MAX_RECORD}")
        return length

    def _checked(self, record: bytes) -> bytes:
        if self._trusted:
            return record
        problem = bson_problem(record)
        if problem:
            self._broken(problem)
        return _identified(record, self._record)

    def _broken(self, what: str) -> NoReturn:
        self._file.broken(self._record + 1, self._byte, what)


class JsonFormat:
    """One document of extended JSON (canonical or relaxed) a line; empty lines are no records."""

    def __init__(self, file: _Opened, start: Position, trusted: bool) -> None:
        self._file = file
        self._record = start.record
        self._byte = start.byte
        self._trusted = trusted

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        for line in self._lines():
            text = line.removeprefix(b"\xef\xbb\xbf") if self._byte == 0 else line
            start = self._byte
            if text.strip():
                record = self._parsed(text)
                self._record += 1
                self._byte = start + len(line)
                yield record, self._byte
            else:
                self._byte = start + len(line)

    def _lines(self) -> Iterator[bytes]:
        """Lines with their ends; the last one may have none."""
        pieces: list[bytes] = []
        held = 0
        while more := self._file.more(self._record + 1, self._byte):
            *ended, rest = more.split(b"\n")
            for line in ended:
                yield b"".join([*pieces, line, b"\n"])
                pieces, held = [], 0
            pieces.append(rest)
            held += len(rest)
            if held > MAX_LINE:
                self._broken(f"its line is longer than {MAX_LINE} bytes")
        if held:
            yield b"".join(pieces)

    def _parsed(self, line: bytes) -> bytes:
        try:
            return self._record_of(line)
        except ValueError as error:
            self._broken(str(error))

    def _record_of(self, line: bytes) -> bytes:
        return _identified(bson_of_line(line), self._record)

    def _broken(self, what: str) -> NoReturn:
        self._file.broken(self._record + 1, self._byte, what)


class VectorFormat(JsonFormat):
    """One record of a vector collection a line."""

    def _record_of(self, line: bytes) -> bytes:
        return record_of_line(line)


def _identified(record: bytes, number: int) -> bytes:
    found = with_id_first(record)
    if found is not None:
        return found
    made = hashlib.sha256(b"%d:" % number + record).digest()[:12]
    return with_object_id(record, made)


def bson_problem(record: bytes) -> str:
    """Why these bytes are no BSON document; empty if they are one."""
    import bson
    from bson.codec_options import CodecOptions, DatetimeConversion
    from bson.errors import BSONError

    # Only the structure is judged: dates beyond Python's and text that is not UTF-8 are data.
    options: CodecOptions[dict[str, object]] = CodecOptions(
        document_class=dict,
        datetime_conversion=DatetimeConversion.DATETIME_MS,
        unicode_decode_error_handler="replace",
    )
    try:
        bson.decode(record, options)
    except (BSONError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        return f"it is no BSON document ({error})"
    return ""


def bson_of_line(line: bytes) -> bytes:
    """The BSON of one document of extended JSON. Raises ValueError, which says what is wrong with it."""
    import bson
    from bson.codec_options import DatetimeConversion
    from bson.errors import BSONError
    from bson.json_util import JSONOptions, object_pairs_hook

    options = JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)

    def no_duplicates(pairs: list[tuple[str, object]]) -> object:
        names = {name for name, _ in pairs}
        if len(names) < len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    raise ValueError(f"the field '{name}' is there twice")
                seen.add(name)
        elif "$oid" in names and not isinstance(pairs[0][1], str):
            # The driver would make a new, random ObjectId of null.
            raise ValueError("an ObjectId must be text")
        return object_pairs_hook(pairs, options)

    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 ({error.reason} at its byte {error.start})") from None
    try:
        document = json.loads(text, object_pairs_hook=no_duplicates)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON ({error.msg} at its character {error.pos})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (BSONError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise ValueError(f"it is no extended JSON ({error})") from None
    if not isinstance(document, dict):
        raise ValueError("it is no document")
    try:
        return bson.encode(document)
    except (BSONError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"it is no document that BSON can hold ({error})") from None
