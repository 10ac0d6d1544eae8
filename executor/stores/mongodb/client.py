"""Connections, and the driver's errors in words: what may pass by itself, and what was refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from executor.contract import StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from pymongo import MongoClient

SELECTION_MS = 5000
"""How long a server may take to answer at all."""

# https://github.com/mongodb/specifications/blob/master/source/retryable-writes/retryable-writes.md, and
# what ends a cursor or a session without a fault of the query.
_TRANSIENT = frozenset(
    {6, 7, 43, 50, 64, 89, 91, 112, 133, 134, 189, 202, 237, 246, 251, 262, 280, 9001, 10107, 11600, 11602}
    | {13388, 13435, 13436, 50736}
)
_CREDENTIALS = frozenset({18, 8000})
_RIGHTS = 13
_SECRET = re.compile(r"(mongodb(?:\+srv)?://)[^/@\s]*@")

APP_NAME = "fordway"
"""What the server shows its administrator of us."""


def connect(name: str, uri: str) -> MongoClient[dict[str, object]]:
    """A client that acknowledges by majority and journal, reads from the primary, and leaves every BSON
    type as it is. Connects when first used. Raises StoreRefused for a URI that is none."""
    from bson.codec_options import DatetimeConversion
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    try:
        if not uri.startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("it begins with neither mongodb:// nor mongodb+srv://")
        client: MongoClient[dict[str, object]] = MongoClient(
            uri,
            appname=APP_NAME,
            w="majority",
            journal=True,
            retryWrites=True,
            retryReads=True,
            readPreference="primary",
            serverSelectionTimeoutMS=SELECTION_MS,
            connectTimeoutMS=SELECTION_MS,
            uuidRepresentation="unspecified",
            tz_aware=False,
            datetime_conversion=DatetimeConversion.DATETIME_AUTO,
        )
    except (PyMongoError, ValueError, TypeError) as error:
        raise StoreRefused(
            name,
            f"its URI cannot be used: {without_secrets(error)}",
            hint="mongodb://user:password@host:port/?options, special characters in it percent-encoded",
        ) from None
    return client


def without_secrets(error: object) -> str:
    """A driver's message in one line, with no credentials of a URI in it."""
    return " ".join(_SECRET.sub(r"\1…@", str(error)).split())[:500]


@contextmanager
def told(name: str) -> Iterator[None]:
    """Raise the driver's errors as StoreUnavailable or StoreRefused of the store ``name``."""
    from bson.errors import BSONError
    from pymongo import errors

    try:
        yield
    except errors.ServerSelectionTimeoutError as error:
        raise StoreUnavailable(
            name,
            f"no MongoDB server answered within {SELECTION_MS // 1000} s: {_servers(error)}",
            hint="is it running, and is the address right?",
        ) from error
    except errors.NetworkTimeout as error:
        raise StoreUnavailable(name, f"MongoDB took too long to answer: {without_secrets(error)}") from error
    except (errors.ConnectionFailure, errors.WaitQueueTimeoutError) as error:
        raise StoreUnavailable(
            name, f"the connection to MongoDB was lost: {without_secrets(error)}"
        ) from error
    except errors.OperationFailure as error:
        raise failure(name, error.code, without_secrets(_message(error)), error.has_error_label) from error
    except (errors.PyMongoError, BSONError) as error:
        raise StoreRefused(name, f"MongoDB's driver refused: {without_secrets(error)}") from error


def failure(name: str, code: int | None, message: str, labelled: object = None) -> Exception:
    """The error for a code of the server's."""
    labels = ("TransientTransactionError", "RetryableWriteError")
    if code in _TRANSIENT or (callable(labelled) and any(labelled(label) for label in labels)):
        return StoreUnavailable(name, f"MongoDB cannot do it now: {message}")
    if code in _CREDENTIALS:
        return StoreRefused(name, "MongoDB refused the credentials", hint="check user, password, authSource")
    if code == _RIGHTS:
        return StoreRefused(name, f"the user may not do that: {message}", hint="give the user the role")
    return StoreRefused(name, f"MongoDB refused (code {code}): {message}")


def is_transient(code: int | None) -> bool:
    """Whether that code of the server's may pass by itself."""
    return code in _TRANSIENT


def _message(error: object) -> str:
    details = getattr(error, "details", None)
    if isinstance(details, Mapping) and "errmsg" in details:
        return str(details["errmsg"])
    return str(error)


def _servers(error: Exception) -> str:
    # The driver's text repeats its whole topology; the first sentence names host and reason.
    return without_secrets(str(error).split(", Timeout:", maxsplit=1)[0])
