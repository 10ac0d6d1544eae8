"""Replacing and deleting records only where they still are what was read.

Each statement names the whole record that it is to meet, so that it is a compare-and-swap of the server's
own. A transaction would do the same, but a process that is killed in one leaves its locks behind for a
minute (see :mod:`executor.stores.mongodb.orphans`). Only a record too large to be named and replaced in one
statement goes through a transaction.

The server compares values, not types: a 1 that somebody made a 1.0 in the same moment is taken for the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from executor.contract import StoreRefused, StoreUnavailable
from executor.stores.bson_key import key_of
from executor.stores.mongodb.client import told
from executor.stores.mongodb.commands import COMMAND_BYTES, raw
from executor.stores.mongodb.orphans import end_orphans
from executor.stores.mongodb.reading import fetch
from executor.stores.mongodb.writing import MAJORITY, exactly, refusal_of, write_errors
from executor.stores.port import Act, Fate, Refused, Revised

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

T = TypeVar("T")
Decide = Callable[[bytes], bytes | Act]
_ROUNDS = 20
_STATEMENTS = 1000
_LOCKED_FOR = 75.0
"""Seconds: a transaction that nobody ends is ended by the server after a minute."""
_BLOCKED_MS = 5000
"""After that long a write may be waiting for somebody's transaction; whose, is looked into."""
_TIME_EXCEEDED = 50


@dataclass(slots=True)
class Reviser:
    """One call of RecordStore.revise."""

    store: str
    client: MongoClient[dict[str, object]]
    database: Database[dict[str, object]]
    collection: str
    decide: Decide
    transactions: bool
    done: list[Revised] = field(default_factory=list)

    def run(self, keys: Sequence[bytes]) -> list[Revised]:
        """See RecordStore.revise."""
        left = list(keys)
        for attempt in range(_ROUNDS):
            if not left:
                return self.done
            if attempt:
                time.sleep(min(0.5, 0.002 * 2**attempt))
            left = self._round(fetch(self.store, self.database, self.collection, left))
        raise StoreRefused(
            self.store, f"{len(left)} records of '{self.collection}' change faster than they can be revised"
        )

    def _round(self, found: Sequence[bytes]) -> list[bytes]:
        """Decide on records and do it; the keys of those that were no longer what was read."""
        replace: list[tuple[bytes, bytes]] = []
        delete: list[bytes] = []
        again: list[bytes] = []
        for record in found:
            decision = self.decide(record)
            if decision is Act.LEAVE:
                self.done.append(Revised(record, Fate.LEFT))
            elif isinstance(decision, Act):
                delete.append(record)
            elif decision == record:
                self.done.append(Revised(record, Fate.REPLACED))
            elif len(record) + len(decision) > COMMAND_BYTES:
                again.extend(self._replace_large(record, decision))
            else:
                replace.append((record, decision))
        for records in _groups(delete, len):
            again.extend(self._delete(records))
        again.extend(self._replace_all(replace))
        return again

    def _replace_all(self, pairs: list[tuple[bytes, bytes]]) -> list[bytes]:
        """Replace in both orders in turn as long as it helps: a value of a unique index may be free only
        when the record that has it was replaced."""
        again: list[bytes] = []
        while pairs:
            blocked: list[tuple[tuple[bytes, bytes], str]] = []
            for some in _groups(pairs, lambda pair: len(pair[0]) + len(pair[1])):
                again.extend(self._replace(some, blocked))
            if len(blocked) == len(pairs):
                for (record, _), reason in blocked:
                    self.done.append(Revised(record, Fate.REFUSED, reason))
                break
            pairs = [pair for pair, _ in reversed(blocked)]
        return again

    def _replace(
        self, pairs: Sequence[tuple[bytes, bytes]], blocked: list[tuple[tuple[bytes, bytes], str]]
    ) -> list[bytes]:
        updates = [{"q": _still(record), "u": exactly(other)} for record, other in pairs]
        reply = self._write({"update": self.collection, "ordered": False, "updates": updates})
        refused: dict[int, str] = {}
        for item in write_errors(self.store, reply):
            refusal = refusal_of(0, item)
            place, reason = int(str(item["index"])), f"{refusal.kind}: {refusal.reason}"
            refused[place] = reason
            if refusal.kind is Refused.DUPLICATE_VALUE:
                blocked.append((pairs[place], reason))
            else:
                self.done.append(Revised(pairs[place][0], Fate.REFUSED, reason))
        rest = [pair for place, pair in enumerate(pairs) if place not in refused]
        there = self._there([record for record, _ in rest]) if reply["n"] != len(rest) else None
        missed: list[bytes] = []
        for record, other in rest:
            if there is None or there.get(key_of(other)) == other:
                self.done.append(Revised(record, Fate.REPLACED))
            else:
                missed.append(key_of(record))
        return missed

    def _delete(self, records: Sequence[bytes]) -> list[bytes]:
        deletes = [{"q": _still(record), "limit": 1} for record in records]
        reply = self._write({"delete": self.collection, "ordered": False, "deletes": deletes})
        there = self._there(records) if reply["n"] != len(records) else {}
        missed: list[bytes] = []
        for record in records:
            key = key_of(record)
            if key in there:
                missed.append(key)
            else:
                self.done.append(Revised(record, Fate.DELETED))
        return missed

    def _there(self, records: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """What is there now, by key."""
        keys = [key_of(record) for record in records]
        found = fetch(self.store, self.database, self.collection, keys)
        return {key_of(record): record for record in found}

    def _write(self, command: dict[str, object]) -> Mapping[str, object]:
        """Run a write. One that has to wait for somebody's transaction ends early; how far it came is found
        out by looking (``n`` is -1 then)."""
        limited = {**command, "writeConcern": MAJORITY, "maxTimeMS": _BLOCKED_MS}
        try:
            with told(self.store):
                reply = self.database.command(limited)
        except StoreUnavailable as error:
            if getattr(error.__cause__, "code", None) != _TIME_EXCEEDED:
                raise
        else:
            if all(item["code"] != _TIME_EXCEEDED for item in reply.get("writeErrors", ())):
                return reply
        end_orphans(self.store, self.client)
        return {"n": -1}

    def _replace_large(self, record: bytes, other: bytes) -> list[bytes]:
        """Replace one record in a transaction: read it, compare here, replace it."""
        until = time.monotonic() + _LOCKED_FOR
        while True:
            try:
                return self._replace_in_transaction(record, other)
            except StoreUnavailable as error:
                if not _may_repeat(error) or time.monotonic() > until:
                    raise
                end_orphans(self.store, self.client)
                time.sleep(0.2)

    def _replace_in_transaction(self, record: bytes, other: bytes) -> list[bytes]:
        key = key_of(record)
        with told(self.store):
            session = self.client.start_session()
        with session:
            if self.transactions:
                with told(self.store):
                    session.start_transaction()
            try:
                if fetch(self.store, self.database, self.collection, [key], session) != [record]:
                    return [key]
                with told(self.store):
                    update = {"q": raw(key), "u": exactly(other)}
                    reply = self.database.command(
                        {"update": self.collection, "updates": [update]}, session=session
                    )
                errors = write_errors(self.store, reply)
                if self.transactions and not errors:
                    with told(self.store):
                        session.commit_transaction()
            finally:
                _abort(session)
        if errors:
            refusal = refusal_of(0, errors[0])
            self.done.append(Revised(record, Fate.REFUSED, f"{refusal.kind}: {refusal.reason}"))
        else:
            self.done.append(Revised(record, Fate.REPLACED))
        return []


def _still(record: bytes) -> dict[str, object]:
    """The filter that only this very record matches."""
    return {**raw(key_of(record)), "$expr": {"$eq": ["$$ROOT", {"$literal": raw(record)}]}}


def _groups(items: Sequence[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    group: list[T] = []
    held = 0
    for item in items:
        size = size_of(item) + 200
        if group and (len(group) >= _STATEMENTS or held + size > COMMAND_BYTES):
            yield group
            group, held = [], 0
        group.append(item)
        held += size
    if group:
        yield group


def _abort(session: ClientSession) -> None:
    from pymongo.errors import PyMongoError

    if session.in_transaction:
        try:
            session.abort_transaction()
        except PyMongoError:
            pass  # the server aborts it by itself


def _may_repeat(error: StoreUnavailable) -> bool:
    """Whether nothing of the transaction was done for certain, as a conflict with another writer tells."""
    from pymongo.errors import PyMongoError

    cause = error.__cause__
    return isinstance(cause, PyMongoError) and cause.has_error_label("TransientTransactionError")
