"""A ChromaDB folder: one client a process, one process a folder."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from executor.contract import StoreRefused, TargetsLocked
from executor.owner import in_words, this_process
from executor.stores.chromadb.telling import told

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

LOCK = ".fordway.lock"
OWNER = ".fordway.owner.json"


@dataclass(slots=True)
class _Held:
    client: ClientAPI
    lock: FileLock
    users: int


_held: dict[Path, _Held] = {}
_guard = threading.Lock()


def open_folder(name: str, path: Path) -> ClientAPI:
    """A client over the folder, which no other process may have open: ChromaDB itself would let two of
    them write into each other's index. Raises TargetsLocked, saying who has it; StoreError."""
    path = path.resolve()
    with _guard:
        held = _held.get(path)
        if held is None:
            held = _held[path] = _open(name, path)
        held.users += 1
        return held.client


def close_folder(name: str, path: Path) -> None:
    """End one use of the folder; the last one closes it."""
    path = path.resolve()
    with _guard:
        held = _held.get(path)
        if held is None:
            return
        held.users -= 1
        if held.users == 0:
            del _held[path]
            try:
                with told(name):
                    held.client.close()
            finally:
                (path / OWNER).unlink(missing_ok=True)
                held.lock.release()


def _open(name: str, path: Path) -> _Held:
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / LOCK, thread_local=False)
        lock.acquire(blocking=False)
    except Timeout:
        raise TargetsLocked(str(path), _owner(path)) from None
    except OSError as error:
        raise StoreRefused(name, f"the folder {path} cannot be used: {error.strerror or error}") from error
    try:
        (path / OWNER).write_text(json.dumps(this_process("")))
        return _Held(_client(name, path), lock, 0)
    except OSError as error:
        lock.release()
        raise StoreRefused(name, f"the folder {path} cannot be used: {error.strerror or error}") from error
    except BaseException:
        lock.release()
        raise


def _client(name: str, path: Path) -> ClientAPI:
    with told(name):
        import chromadb
        from chromadb.config import Settings

        return chromadb.PersistentClient(
            str(path), settings=Settings(anonymized_telemetry=False, allow_reset=False)
        )


def _owner(path: Path) -> str:
    try:
        owner = json.loads((path / OWNER).read_text())
    except (OSError, ValueError):
        return "another process"
    words = in_words(owner) if isinstance(owner, dict) else ""
    return words.replace("run  (", "another process (") or "another process"
