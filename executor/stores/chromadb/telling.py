"""ChromaDB's errors in words: what may pass by itself, and what was refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from executor.contract import StoreRefused, StoreUnavailable

_BUSY = (
    "database is locked",
    "timed out",
    "timeout",
    "Connection refused",
    "connection closed",
    # An index that is being made anew, just after a collection of that name was dropped.
    "Nothing found on disk",
)


class NotThere(StoreRefused):
    """There is no such collection."""


@contextmanager
def told(name: str) -> Iterator[None]:
    """Raise ChromaDB's errors, and those of its HTTP client, as StoreUnavailable or StoreRefused of the
    store ``name``. A refusal's ``__cause__`` is ChromaDB's own error."""
    import httpx
    from chromadb.errors import ChromaError, NotFoundError, RateLimitError

    try:
        yield
    except NotFoundError as error:
        raise NotThere(name, f"ChromaDB: {_line(error)}") from error
    except RateLimitError as error:
        raise StoreUnavailable(name, f"ChromaDB is too busy: {_line(error)}") from error
    except ChromaError as error:
        text = _line(error)
        if any(sign in text for sign in _BUSY):
            raise StoreUnavailable(name, f"ChromaDB cannot do it now: {text}") from error
        raise StoreRefused(name, f"ChromaDB refused: {text}") from error
    except httpx.HTTPError as error:
        raise StoreUnavailable(
            name,
            f"the ChromaDB server does not answer: {_line(error) or type(error).__name__}",
            hint="is it running, and are host and port right?",
        ) from error
    except (ValueError, TypeError, OverflowError) as error:
        text = _line(error)
        if "Could not connect" in text:
            raise StoreUnavailable(
                name,
                "the ChromaDB server does not answer",
                hint="is it running, and are host and port right?",
            ) from error
        raise StoreRefused(name, f"ChromaDB refused: {text}") from error
    except BaseException as error:
        # A panic of ChromaDB's core is no Exception; it must not end the process with a traceback.
        if type(error).__name__ != "PanicException":
            raise
        raise StoreRefused(name, f"ChromaDB failed: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
