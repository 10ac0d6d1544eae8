"""Python functions that a plan names as ``./file.py:name``."""

from __future__ import annotations

import hashlib
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from executor.contract import FordwayError
from executor.transform.rejection import one_line

_lock = threading.RLock()


def source_of(reference: str, base: Path) -> tuple[Path, str]:
    """The file and the name in ``./file.py:name``. Raises FordwayError if it has another form."""
    path, separator, name = reference.rpartition(":")
    if not separator or not name.isidentifier() or not path.endswith(".py"):
        raise FordwayError(
            f"'{reference}' does not name a Python function", hint="write it as ./functions.py:clean"
        )
    return (base / path).resolve(), name


def load_function(reference: str, base: Path) -> Callable[..., object]:
    """The function that ``reference`` names; ``base`` is the folder that its path starts from.

    The file becomes a module of a private name that nobody can import by accident; it is executed once a
    process as long as its content stays the same, and it cannot import files that lie beside it.
    Raises FordwayError if the file is not there, fails while it is loaded, or has no such function.
    """
    path, name = source_of(reference, base)
    function = getattr(_module(path), name, None)
    if not callable(function):
        raise FordwayError(f"{path.name} has no function '{name}'")
    return function  # type: ignore[no-any-return]


def fingerprint(reference: str, base: Path) -> str:
    """The first 12 digits of the SHA-256 of the function's file. Raises FordwayError."""
    path, _ = source_of(reference, base)
    return hashlib.sha256(_read(path)).hexdigest()[:12]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FordwayError(f"{path} cannot be read: {error.strerror}") from error


def _module(path: Path) -> ModuleType:
    source = _read(path)
    digest = hashlib.sha256(source + b"\0" + str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    private = f"_fordway_{digest}"
    with _lock:
        if private in sys.modules:
            return sys.modules[private]
        module = ModuleType(private)
        module.__file__ = str(path)
        # Registered before it runs: dataclasses and typing look a module up by its name.
        sys.modules[private] = module
        try:
            exec(compile(source, str(path), "exec"), module.__dict__)
        except Exception as error:
            del sys.modules[private]
            raise FordwayError(f"{_place(error, path)} fails: {one_line(error)}") from error
        return module


def _place(error: Exception, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"{path.name}:{error.lineno or 1}"
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return f"{path.name}:{lines[-1]}" if lines else path.name
