"""Reading a collection in the order of its keys, across BSON types, from any key on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bson import decode, encode
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from bson.int64 import Int64
from bson.json_util import JSONOptions, object_hook
from bson.max_key import MaxKey
from bson.raw_bson import RawBSONDocument

from compiler.model.plan import JsonObject
from executor.contract import StoreRefused
from executor.stores.bson_key import in_keys, key_of
from executor.stores.mongodb.client import told
from executor.stores.mongodb.commands import cursor_reply, raw
from executor.stores.port import KeyRange, RecordBatch

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

BY_KEY = {"_id": 1}
MAX_KEY = encode({"_id": MaxKey()})
_FETCH = 1000
_FETCH_BYTES = 4_000_000
_EARLY = 400  # records; of fewer, a whole batch comes soon enough
_EXACT: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_MS
)
_DATES = JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)


def filter_of(store: str, where: JsonObject | None) -> dict[str, object]:
    """An extended JSON filter as the driver's values. Raises StoreRefused."""
    if not where:
        return {}
    try:
        value = json.loads(json.dumps(where), object_hook=lambda pairs: object_hook(pairs, _DATES))
    except (BSONError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise StoreRefused(store, f"the filter is not extended JSON: {error}") from None
    return dict(value)


class Cursor:
    """A server's cursor as an iterator over its replies. Closes itself at the end or when given up."""

    def __init__(
        self,
        store: str,
        database: Database[dict[str, object]],
        command: Mapping[str, object],
        batch: int,
        session: ClientSession | None = None,
    ) -> None:
        self._store, self._database, self._command = store, database, command
        self._batch, self._session = batch, session

    def __iter__(self) -> Iterator[list[bytes]]:
        client = self._database.client
        with told(self._store):
            session = self._session or client.start_session(causal_consistency=False)
        cursor = 0
        try:
            documents, cursor = cursor_reply(self._store, self._database, self._command, session)
            collection = str(next(iter(self._command.values())))
            more = {"getMore": Int64(0), "collection": collection, "batchSize": self._batch}
            while True:
                if documents:
                    yield documents
                if not cursor:
                    break
                more["getMore"] = Int64(cursor)
                cursor = 0  # an error ends the server's cursor, or our connection to it
                documents, cursor = cursor_reply(self._store, self._database, more, session)
        finally:
            self._close(cursor, session)

    def _close(self, cursor: int, session: ClientSession) -> None:
        from pymongo.errors import PyMongoError

        try:
            if cursor:
                collection = next(iter(self._command.values()))
                self._database.command(
                    {"killCursors": collection, "cursors": [Int64(cursor)]}, session=session
                )
        except PyMongoError:
            pass  # the server forgets it by itself
        finally:
            if session is not self._session:
                session.end_session()


class CollectionSource:
    """A :class:`~executor.stores.port.Source` over a collection or a view.

    ``per_reply`` is how many records one reply of the server should hold, of which the batches are made:
    at most ``batch_records`` records, and ending once they have ``batch_bytes`` bytes.
    """

    def __init__(
        self,
        store: str,
        database: Database[dict[str, object]],
        collection: str,
        *,
        where: JsonObject | None,
        batch_records: int,
        batch_bytes: int,
        per_reply: int,
        keyed: bool,
        computed: bool,
    ) -> None:
        self.keyed = keyed
        self.unique = not computed
        self._store, self._database, self._collection = store, database, collection
        self._filter = filter_of(store, where)
        self._records, self._bytes, self._per_reply = batch_records, batch_bytes, per_reply
        self._computed = computed
        self._first = per_reply // 8 if per_reply >= _EARLY else per_reply

    def read(self, after: bytes | None, until: bytes | None = None) -> Iterator[RecordBatch]:
        """See Source. Raises StoreUnavailable, after which it may be called again."""
        if after == MAX_KEY or (until is not None and until == after):
            return
        command = self._aggregate(after, until) if self._computed else self._find(after, until)
        pending: list[bytes] = []
        skip = after if not self._computed else None
        early = self._first < self._per_reply and not self._computed
        for reply in Cursor(self._store, self._database, command, self._per_reply):
            documents = reply
            if skip is not None:
                # The lower bound is inclusive; only the first record can be the one that we have.
                documents = documents[1:] if self._key(documents[0]) == skip else documents
                skip = None
            pending = pending + documents if pending else documents
            if early and self._cut(pending) is None:
                # The first reply is a small one, so that writers need not wait for a whole batch.
                if pending:
                    yield self._batch(pending)
                pending = []
            early = False
            while (end := self._cut(pending)) is not None:
                yield self._batch(pending[:end])
                pending = pending[end:]
        if after is not None and until is None and not self._computed:
            pending = pending + self._last()
        if pending:
            yield self._batch(pending)

    def _last(self) -> list[bytes]:
        """The record whose key is MaxKey, which a scan with a lower bound alone leaves out."""
        only = {"$and": [self._filter, {"_id": MaxKey()}]}
        command = {"find": self._collection, "filter": only, "batchSize": 1}
        return [record for reply in Cursor(self._store, self._database, command, 1) for record in reply]

    def _find(self, after: bytes | None, until: bytes | None) -> dict[str, object]:
        command: dict[str, object] = {
            "find": self._collection,
            "filter": self._filter,
            "hint": BY_KEY,
            "batchSize": self._first,
        }
        if after is not None:
            command["min"] = raw(after)
        if until is not None:
            command["max"] = raw(until)
        return command

    def _aggregate(self, after: bytes | None, until: bytes | None) -> dict[str, object]:
        """Views and time series have no index of ``_id``: the server sorts. ``$expr`` crosses types."""
        bounds: list[dict[str, object]] = []
        for operator, key in (("$gt", after), ("$lt", until)):
            if key is not None:
                value = {"$literal": decode(key, _EXACT)["_id"]}
                bounds.append({"$match": {"$expr": {operator: ["$_id", value]}}})
        pipeline = [{"$match": self._filter}, *bounds, {"$sort": BY_KEY}]
        return {
            "aggregate": self._collection,
            "pipeline": pipeline,
            "cursor": {"batchSize": self._per_reply},
            "allowDiskUse": True,
        }

    def _cut(self, documents: Sequence[bytes]) -> int | None:
        """Where the first batch of the documents ends; None if more are needed to know."""
        size = 0
        for index, document in enumerate(documents, start=1):
            size += len(document)
            if index >= self._records or size >= self._bytes:
                return self._after_equals(documents, index)
        return None

    def _after_equals(self, documents: Sequence[bytes], end: int) -> int | None:
        """A computed source may have a key twice: a batch that ended between them would lose one when the
        reading goes on after that key."""
        if not self._computed:
            return end
        key = self._key(documents[end - 1])
        for index in range(end, len(documents)):
            if self._key(documents[index]) != key:
                return index
        return None

    def _batch(self, documents: list[bytes]) -> RecordBatch:
        return RecordBatch(documents, self._key(documents[-1]), sum(map(len, documents)))

    def _key(self, record: bytes) -> bytes:
        try:
            return key_of(record)
        except ValueError as error:
            raise StoreRefused(
                self._store,
                f"a record of '{self._collection}' cannot be read: {error}",
                hint="a view must keep '_id' as its first field",
            ) from None


def fetch(
    store: str,
    database: Database[dict[str, object]],
    collection: str,
    keys: Sequence[bytes],
    session: ClientSession | None = None,
) -> list[bytes]:
    """The records of these keys that exist, in no order."""
    found: list[bytes] = []
    for some in chunks(keys):
        command = {"find": collection, "filter": raw(in_keys(some)), "batchSize": len(some)}
        for documents in Cursor(store, database, command, len(some), session):
            found.extend(documents)
    return found


def chunks(items: Sequence[bytes], records: int = _FETCH, size: int = _FETCH_BYTES) -> Iterator[list[bytes]]:
    """The items in groups that one command can hold: at most ``records`` items and ``size`` bytes, but
    always one."""
    group: list[bytes] = []
    held = 0
    for item in items:
        if group and (len(group) >= records or held + len(item) > size):
            yield group
            group, held = [], 0
        group.append(item)
        held += len(item)
    if group:
        yield group


def fetch_range(
    store: str, database: Database[dict[str, object]], collection: str, bounds: KeyRange
) -> Iterator[list[bytes]]:
    """The records between two keys, both included. The upper bound of an index scan is exclusive, so that
    the last record is asked for by itself."""
    command = {
        "find": collection,
        "hint": BY_KEY,
        "min": raw(bounds.first),
        "max": raw(bounds.last),
        "batchSize": _FETCH,
    }
    if bounds.first != bounds.last:
        yield from Cursor(store, database, command, _FETCH)
    last = fetch(store, database, collection, [bounds.last])
    if last:
        yield last
