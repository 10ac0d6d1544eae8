"""Writing files that are either whole or not there, and the manifest that says what a backup holds.

A file is written under a temporary name, flushed to the disk and renamed; the manifest is the last one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from compiler.model.codec import CodecError, from_json, to_json
from compiler.model.plan import Json, JsonObject, Verdict
from executor.contract import StepFailed

MANIFEST = "manifest.json"
FORMAT = 1

_LEVEL = 3  # of gzip: a third of the time of 6, a tenth more to keep
_READ = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One collection of a backup.

    ``file`` lies beside the manifest and is empty where there is nothing to keep: the collection did
    not exist, or is a view. ``bytes`` counts what was kept before compression, ``sha256`` is of the file
    as it lies there. ``options`` and ``indexes`` are as :class:`executor.stores.port.CollectionFacts`
    has them.
    """

    store: str
    collection: str
    type: str
    exists: bool
    view: bool = False
    file: str = ""
    count: int = 0
    bytes: int = 0
    sha256: str = ""
    options: JsonObject = field(default_factory=dict)
    indexes: tuple[JsonObject, ...] = ()
    metric: str | None = None
    dimension: int | None = None
    embedding: str | None = None

    def __str__(self) -> str:
        return f"{self.store}.{self.collection}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup folder holds. Until it is ``complete`` the entries are those that are finished."""

    format: int
    run: str
    step: str
    complete: bool = False
    entries: tuple[Entry, ...] = ()

    def of(self, run: str, step: str) -> bool:
        """Whether that step of that run wrote it."""
        return (self.run, self.step) == (run, step)

    def entry(self, store: str, collection: str) -> Entry | None:
        for entry in self.entries:
            if (entry.store, entry.collection) == (store, collection):
                return entry
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A finished file: its SHA-256 and the number of bytes before compression."""

    sha256: str
    bytes: int


class Compressed:
    """A gzip file in the making. The same content gives the same bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".partial")
        self._hash = hashlib.sha256()
        self._bytes = 0
        self._discarded = False
        with told(path):
            self._file: BinaryIO = self._temporary.open("wb")
            self._gzip = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=self, mtime=0)

    def add(self, data: bytes) -> None:
        """Add ``data``. Raises StepFailed if the disk will not take it."""
        with told(self._path):
            self._gzip.write(data)
        self._bytes += len(data)

    def finish(self) -> Written:
        """The file is whole and on the disk when this returns."""
        with told(self._path):
            self._gzip.close()
            settle(self._file, self._temporary, self._path)
        return Written(sha256=self._hash.hexdigest(), bytes=self._bytes)

    def discard(self) -> None:
        """Leave nothing of an unfinished file."""
        self._discarded = True
        self._gzip.close()
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def write(self, data: bytes) -> int:
        """What the compressor calls."""
        if self._discarded:
            return len(data)
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """What the compressor calls."""
        if not self._discarded:
            self._file.flush()


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Tell a disk that is full, or a folder that may not be written, in words."""
    try:
        yield
    except OSError as error:
        raise StepFailed(
            f"{path} cannot be written: {error.strerror or error}",
            hint="is there room, and the right to write?",
        ) from error


def settle(file: BinaryIO, temporary: Path, path: Path) -> None:
    """Give a file that was written under a temporary name its own, durably."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put the manifest in the place of the one that is there. Raises StepFailed."""
    path = folder / MANIFEST
    text = json.dumps(to_json(manifest), sort_keys=True, indent=1, ensure_ascii=False)
    with told(path):
        temporary = path.with_name(path.name + ".partial")
        file = temporary.open("wb")
        try:
            file.write(text.encode("utf-8", "surrogatepass") + b"\n")
            settle(file, temporary, path)
        finally:
            file.close()


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a backup folder; None if there is none. Raises StepFailed if it is not one."""
    path = folder / MANIFEST
    try:
        value: Json = json.loads(path.read_bytes())
        if isinstance(value, dict) and value.get("format", FORMAT) != FORMAT:
            raise CodecError(f"format {value['format']!r} is not known here; this is format {FORMAT}")
        manifest = from_json(Manifest, value)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StepFailed(f"{path} cannot be read: {error.strerror}", verdict=Verdict.ABSENT) from error
    except (ValueError, RecursionError) as error:
        raise StepFailed(f"{path} is no backup's manifest: {error}", verdict=Verdict.ABSENT) from error
    for entry in manifest.entries:
        # The file is looked for in the folder, whatever somebody wrote into the manifest.
        if entry.file and (Path(entry.file).name != entry.file or entry.file == ".."):
            raise StepFailed(f"{path} names a file outside its folder", verdict=Verdict.ABSENT)
    return manifest


def check_file(folder: Path, entry: Entry) -> None:
    """Read an entry's file from end to end. Raises StepFailed (verdict ABSENT) unless it is, byte for
    byte, the one that was written."""
    path = folder / entry.file
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ):
                digest.update(chunk)
    except OSError as error:
        raise StepFailed(f"{path} cannot be read: {error.strerror}", verdict=Verdict.ABSENT) from error
    if digest.hexdigest() != entry.sha256:
        raise StepFailed(
            f"the backup file {path} was changed or damaged since it was written (SHA-256)",
            verdict=Verdict.ABSENT,
        )


def file_name(store: str, collection: str, suffix: str) -> str:
    """The name of a collection's file in a backup; different for different collections."""
    name = urllib.parse.quote(f"{store}.{collection}", safe=" -_")
    if len(name) > 150:
        name = name[:100] + "~" + hashlib.sha256(name.encode()).hexdigest()[:16]
    return name + suffix
