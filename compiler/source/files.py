"""Where the compiler's files come from: a port, and the disk behind it.

Paths are the ones that users see: as given on the command line for the plan, and for what a plan refers
to its folder joined with the reference, with forward slashes and without ``.`` and ``..`` parts where
that is possible (:func:`locate`).
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import ClassVar, Protocol

# Without waiting: opening a named pipe would otherwise block until somebody writes to it.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class FileFault(Exception):
    """A file that cannot be used. The message says why, for the diagnostic's detail."""

    code: ClassVar[str] = "unreadable-file"


class FileMissing(FileFault):
    """There is nothing at the path."""

    code: ClassVar[str] = "missing-file"


class FileOutside(FileFault):
    """The path leads out of the project, as it is written or through a symbolic link."""

    code: ClassVar[str] = "path-outside"


class FileTooLarge(FileFault):
    """The file is larger than the reader wants."""

    code: ClassVar[str] = "file-too-large"


class Files(Protocol):
    """Read access to the files of one project. Every method raises FileFault."""

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file of at most ``limit`` bytes."""
        ...

    def digest(self, path: str) -> str:
        """``sha256:<hex>`` of a file of any size."""
        ...


def sha256(data: bytes) -> str:
    """The digest under which an input file is recorded.

    >>> sha256(b"")[:20]
    'sha256:e3b0c44298fc1'
    """
    return "sha256:" + hashlib.sha256(data).hexdigest()


def locate(base: str, reference: str) -> str:
    """The path of what a file in folder ``base`` refers to. Raises FileOutside for an absolute one.

    >>> locate("plans/quickstart", "./rollback.yaml"), locate("", "../x.yaml")
    ('plans/quickstart/rollback.yaml', '../x.yaml')
    """
    if posixpath.isabs(reference) or Path(reference).is_absolute():
        raise FileOutside(f"'{reference}' is an absolute path; paths start from the plan's own folder")
    return posixpath.normpath(posixpath.join(base, reference))


def relative(base: str, path: str) -> str:
    """``path`` as seen from folder ``base``; both as :func:`locate` gives them.

    >>> relative("plans/quickstart", "plans/quickstart/t/a.yaml"), relative("", "a.yaml")
    ('t/a.yaml', 'a.yaml')
    """
    return posixpath.relpath(path, base or ".")


def project_root(plan: Path) -> Path:
    """The folder that a compile of ``plan`` may read: the nearest one above it with ``.git`` in it, else
    the plan's own folder."""
    folder = plan.resolve().parent
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder)


class DiskFiles:
    """The files below ``root`` on this machine's disk. Relative paths start from ``start``, by default the
    current folder at the time of the call."""

    def __init__(self, root: Path, start: Path | None = None) -> None:
        self.root = root.resolve()
        self.start = (start or Path.cwd()).resolve()

    def read(self, path: str, limit: int) -> bytes:
        """See :class:`Files`."""
        with self._open(path) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise FileTooLarge(f"'{path}' is larger than {limit:,} bytes")
        return data

    def digest(self, path: str) -> str:
        """See :class:`Files`."""
        with self._open(path) as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()

    @contextmanager
    def _open(self, path: str) -> Iterator[BufferedReader]:
        try:
            resolved = (self.start / path).resolve()
            if not resolved.is_relative_to(self.root):
                raise FileOutside(f"'{path}' leads out of the project folder '{self.root.name}'")
            descriptor = os.open(
                resolved, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            )
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise FileFault(f"'{path}' is not a regular file")
                yield file
        except (FileNotFoundError, NotADirectoryError):
            raise FileMissing(f"there is no file '{path}'") from None
        except IsADirectoryError:
            raise FileFault(f"'{path}' is a folder") from None
        except OSError as error:
            raise FileFault(f"'{path}': {error.strerror or 'it cannot be read'}") from None
        except (ValueError, RuntimeError):  # a NUL byte; a loop of symbolic links
            raise FileFault(f"'{path}' is not a path that can be read") from None
