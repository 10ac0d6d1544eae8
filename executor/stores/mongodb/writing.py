"""Inserting records as the bytes that they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, repeat
from operator import contains
from typing import TYPE_CHECKING

from executor.contract import StoreRefused, StoreUnavailable
from executor.stores.bson_key import fields, key_of
from executor.stores.mongodb.client import failure, is_transient, told, without_secrets
from executor.stores.mongodb.commands import COMMAND_BYTES, COMMAND_RECORDS, Sent, raw
from executor.stores.port import Refusal, Refused

if TYPE_CHECKING:
    from pymongo.database import Database

LARGEST = 16 * 1024 * 1024
"""Bytes of the largest record that MongoDB takes."""
MAJORITY = {"w": "majority", "j": True, "wtimeout": 60_000}
_DUPLICATE = 11000
_TOO_LARGE = frozenset({10334, 17419, 17420})
# What one record of many can be at fault for: bad values, broken BSON, names, nesting, a validator, types.
_OF_ONE_RECORD = frozenset({2, 9, 14, 15, 22, 52, 53, 55, 56, 57, 66, 121, 10334, 17280, 17419, 17420})
# A timestamp element whose value is all zeros: the server would put its own clock there.
_ZERO_TIMESTAMP = re.compile(rb"\x11[^\0]*\0{9}", re.DOTALL)
_TIMESTAMP = b"\x11"  # the type of a timestamp element


def insert(
    store: str, database: Database[dict[str, object]], collection: str, records: Sequence[bytes]
) -> list[Refusal]:
    """Insert all that can be inserted; the rest is returned with its reason. Raises StoreUnavailable if it
    is not known how much was written."""
    large = [index for index, record in enumerate(records) if len(record) > LARGEST]
    # Each look at a record's bytes costs as much as to hash them: only a few get the second one.
    stamped = compress(range(len(records)), map(contains, records, repeat(_TIMESTAMP)))
    exact = [index for index in stamped if has_zero_timestamp(records[index])]
    refused = [_too_large(index, len(records[index])) for index in large]
    for index in exact:
        if index not in large:
            refused.extend(_insert_exactly(store, database, collection, index, records[index]))
    apart = {*large, *exact}
    plain = [index for index in range(len(records)) if index not in apart] if apart else range(len(records))
    for group in _groups(plain, records):
        refused.extend(_insert_group(store, database, collection, group, records))
    return refused


def has_zero_timestamp(record: bytes) -> bool:
    """Whether a field of the record's own is an empty timestamp. MongoDB replaces those on insert by the
    time of its clock (but not in ``_id``, and not deeper down)."""
    if _ZERO_TIMESTAMP.search(record) is None:
        return False
    return any(kind == 0x11 and name != b"_id" and not any(value) for kind, name, value in fields(record))


def _groups(indexes: Sequence[int], records: Sequence[bytes]) -> Iterator[Sequence[int]]:
    """The records in groups that a command can hold."""
    if sum(map(len, records)) + 8 * len(records) <= COMMAND_BYTES and len(records) <= COMMAND_RECORDS:
        if indexes:
            yield indexes
        return
    group: list[int] = []
    size = 0
    for index in indexes:
        if group and (size + len(records[index]) > COMMAND_BYTES or len(group) >= COMMAND_RECORDS):
            yield group
            group, size = [], 0
        group.append(index)
        size += len(records[index]) + 8
    if group:
        yield group


def _insert_group(
    store: str,
    database: Database[dict[str, object]],
    collection: str,
    group: Sequence[int],
    records: Sequence[bytes],
) -> list[Refusal]:
    from pymongo.errors import OperationFailure

    command = {
        "insert": collection,
        "ordered": False,
        "writeConcern": MAJORITY,
        "documents": list(
            map(Sent, records if len(group) == len(records) else [records[at] for at in group])
        ),
    }
    try:
        with told(store):
            reply = database.command(command)
    except StoreRefused as error:
        cause = error.__cause__
        if not isinstance(cause, OperationFailure) or cause.code not in _OF_ONE_RECORD:
            raise
        if len(group) == 1:
            return [Refusal(index=group[0], kind=Refused.INVALID, reason=without_secrets(cause))]
        half = len(group) // 2
        return [
            *_insert_group(store, database, collection, group[:half], records),
            *_insert_group(store, database, collection, group[half:], records),
        ]
    return [refusal_of(group[int(str(item["index"]))], item) for item in write_errors(store, reply)]


def _insert_exactly(
    store: str, database: Database[dict[str, object]], collection: str, index: int, record: bytes
) -> list[Refusal]:
    """Insert a record that has an empty timestamp as it is: an update by pipeline leaves it alone. The
    filter matches no record, so that it inserts or meets a duplicate key."""
    nothing: dict[str, object] = {**raw(key_of(record)), "$nor": [{}]}
    command = {
        "update": collection,
        "updates": [{"q": nothing, "u": exactly(record), "upsert": True}],
        "writeConcern": MAJORITY,
    }
    with told(store):
        reply = database.command(command)
    return [refusal_of(index, item) for item in write_errors(store, reply)]


def exactly(record: bytes) -> list[dict[str, object]]:
    """An update that leaves exactly these bytes, whatever they hold."""
    return [{"$replaceWith": {"$literal": raw(record)}}]


def write_errors(store: str, reply: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The single records' errors of a reply; raises what concerns all of them."""
    unacknowledged = reply.get("writeConcernError")
    if isinstance(unacknowledged, Mapping):
        raise StoreUnavailable(
            store, f"the write was not acknowledged by a majority: {unacknowledged.get('errmsg')}"
        )
    errors = reply.get("writeErrors")
    if not isinstance(errors, list):
        return []
    for item in errors:
        code = item.get("code")
        if is_transient(code) or (code != _DUPLICATE and code not in _OF_ONE_RECORD):
            raise failure(store, code, without_secrets(item.get("errmsg", "")))
    return errors


def refusal_of(index: int, error: Mapping[str, object]) -> Refusal:
    """A single record's error as a refusal."""
    code, message = error.get("code"), without_secrets(error.get("errmsg", ""))
    if code == _DUPLICATE:
        pattern = error.get("keyPattern")
        by_id = list(pattern) == ["_id"] if isinstance(pattern, Mapping) else "index: _id_ " in message
        return Refusal(
            index=index, kind=Refused.DUPLICATE_ID if by_id else Refused.DUPLICATE_VALUE, reason=message
        )
    if code in _TOO_LARGE or "too large" in message:
        return Refusal(index=index, kind=Refused.TOO_LARGE, reason=message)
    details = error.get("errInfo")
    if isinstance(details, Mapping):
        message = f"{message}: {without_secrets(details.get('details', ''))}"
    return Refusal(index=index, kind=Refused.INVALID, reason=message)


def _too_large(index: int, size: int) -> Refusal:
    return Refusal(
        index=index,
        kind=Refused.TOO_LARGE,
        reason=f"the record has {size} bytes, more than the {LARGEST} that MongoDB takes",
    )
