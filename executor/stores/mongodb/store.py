"""A MongoDB database as a store of records."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bson.int64 import Int64
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

from compiler.model.plan import Json, JsonObject, StoreSpec
from executor.contract import FordwayError, StoreRefused, UndoLog
from executor.stores.mongodb import embedded, reading, writing
from executor.stores.mongodb.client import connect, told
from executor.stores.mongodb.commands import COMMAND_RECORDS
from executor.stores.mongodb.lease import LEASES, MongoLeases
from executor.stores.mongodb.reading import BY_KEY, CollectionSource, filter_of
from executor.stores.mongodb.revising import Reviser
from executor.stores.mongodb.undo import HOME, PREFIX, MongoUndoLog
from executor.stores.port import (
    Act,
    Capabilities,
    CollectionFacts,
    KeyRange,
    Refusal,
    Revised,
    Secrets,
    Source,
)

if TYPE_CHECKING:
    from pymongo import MongoClient

CAPABILITIES = Capabilities(
    records=True,
    transactions=True,
    undo_home=True,
    lease_home=True,
    max_record=writing.LARGEST,
)
_NOT_FOUND = 26
"""The server's code for a collection that does not exist."""


class MongoStore:
    """One database of a server. Safe from several threads."""

    capabilities = CAPABILITIES

    def __init__(self, name: str, uri: str, database: str, member: embedded.Membership | None) -> None:
        self.name = name
        self._member = member
        self._client: MongoClient[dict[str, object]] = connect(name, uri)
        self._database = self._client[database]
        self._closed = threading.Lock()

    @cached_property
    def _transactions(self) -> bool:
        """Whether the server has transactions: replica sets and sharded clusters do."""
        with told(self.name):
            hello = self._client.admin.command("hello")
        return "setName" in hello or hello.get("msg") == "isdbgrid"

    def ping(self) -> None:
        """See Store: the server answers, and takes the credentials."""
        with told(self.name):
            self._database.command({"listCollections": 1, "nameOnly": True, "cursor": {"batchSize": 0}})

    def close(self) -> None:
        """Close the connections; the last user of an embedded server stops it. May be called twice."""
        with self._closed:
            self._client.close()
            if self._member is not None:
                self._member.release()

    def collections(self) -> list[str]:
        with told(self.name):
            names = self._database.list_collection_names()
        ours = self._database.name == HOME
        return sorted(
            name
            for name in names
            if not name.startswith("system.") and not (ours and (name == LEASES or name.startswith(PREFIX)))
        )

    def exists(self, collection: str) -> bool:
        return self._listed(collection) is not None

    def count(self, collection: str, where: JsonObject | None = None) -> int:
        """Exact: the server's own quick count may be wrong after a crash. An index scan, 5 million
        records a second."""
        command: dict[str, object] = {"count": collection, "query": filter_of(self.name, where)}
        if not where and not self.facts_of_kind(collection).view:
            command["hint"] = BY_KEY
        with told(self.name):
            return int(self._database.command(command)["n"])

    def facts_of_kind(self, collection: str) -> CollectionFacts:
        """The facts that cost nothing: whether it exists, what kind it is, its options."""
        listed = self._listed(collection)
        if listed is None:
            return CollectionFacts(exists=False)
        options = cast(Mapping[str, object], listed.get("options") or {})
        return CollectionFacts(
            exists=True,
            options=_json(options),
            ordered="collation" not in options,
            view=listed.get("type") != "collection",
        )

    def facts(self, collection: str) -> CollectionFacts:
        kind = self.facts_of_kind(collection)
        if not kind.exists:
            return kind
        if kind.view:
            return CollectionFacts(
                exists=True,
                count=self.count(collection),
                options=kind.options,
                ordered=kind.ordered,
                view=True,
            )
        with told(self.name):
            indexes = list(self._database[collection].list_indexes())
            size = self._database.command({"collStats": collection}).get("size", 0)
        return CollectionFacts(
            exists=True,
            count=self.count(collection),
            bytes=int(size),
            options=kind.options,
            indexes=tuple(_index(dict(index)) for index in indexes if list(index["key"]) != ["_id"]),
            ordered=kind.ordered,
        )

    def _listed(self, collection: str) -> Mapping[str, object] | None:
        with told(self.name):
            return next(iter(self._database.list_collections(filter={"name": collection})), None)

    def drop(self, collection: str) -> None:
        with told(self.name):
            self._database.drop_collection(collection)

    def undo_log(self, run: str, step: str) -> UndoLog:
        return MongoUndoLog(self.name, self._client, run, step)

    def undo_runs(self) -> Mapping[str, int]:
        with told(self.name):
            home = self._client[HOME]
            return {
                name.removeprefix(PREFIX): int(home.command({"collStats": name}).get("size", 0))
                for name in sorted(home.list_collection_names())
                if name.startswith(PREFIX)
            }

    def drop_undo(self, run: str) -> None:
        with told(self.name):
            self._client[HOME].drop_collection(PREFIX + run)

    def lease_home(self) -> MongoLeases:
        return MongoLeases(self.name, self._client)

    def lease_target(self, collection: str) -> str:
        return f"{self._database.name}.{collection}"

    def source(
        self,
        collection: str,
        *,
        where: JsonObject | None = None,
        batch_records: int = 1000,
        batch_bytes: int = 3_000_000,
    ) -> Source:
        kind = self.facts_of_kind(collection)
        per_reply = max(1, min(batch_records, COMMAND_RECORDS))
        if kind.exists and not kind.view:
            with told(self.name):
                average = self._database.command({"collStats": collection}).get("avgObjSize", 1)
            per_reply = max(1, min(per_reply, batch_bytes // max(1, int(average))))
        return CollectionSource(
            self.name,
            self._database,
            collection,
            where=where,
            batch_records=batch_records,
            batch_bytes=batch_bytes,
            per_reply=per_reply,
            keyed=kind.ordered and not kind.view,
            computed=kind.view,
        )

    def fetch(self, collection: str, keys: Sequence[bytes]) -> list[bytes]:
        return reading.fetch(self.name, self._database, collection, keys)

    def fetch_range(self, collection: str, bounds: KeyRange) -> Iterator[list[bytes]]:
        return reading.fetch_range(self.name, self._database, collection, bounds)

    def insert(self, collection: str, records: Sequence[bytes]) -> list[Refusal]:
        return writing.insert(self.name, self._database, collection, records)

    def revise(
        self, collection: str, keys: Sequence[bytes], decide: Callable[[bytes], bytes | Act]
    ) -> list[Revised]:
        reviser = Reviser(
            self.name, self._client, self._database, collection, decide, transactions=self._transactions
        )
        return reviser.run(keys)

    def create(self, collection: str, options: JsonObject | None = None) -> None:
        with told(self.name):
            self._database.command({"create": collection, **filter_of(self.name, options)})

    def create_index(
        self, collection: str, keys: Sequence[tuple[str, str | int]], options: JsonObject | None = None
    ) -> str:
        given = filter_of(self.name, options)
        name = str(given.get("name") or "_".join(f"{field}_{way}" for field, way in keys))
        with told(self.name):
            self._database.command(
                {"createIndexes": collection, "indexes": [{**given, "key": dict(keys), "name": name}]}
            )
        return name

    def drop_index(self, collection: str, name: str) -> None:
        from pymongo.errors import OperationFailure

        try:
            with told(self.name):
                self._database.command({"dropIndexes": collection, "index": name})
        except StoreRefused as error:
            cause = error.__cause__
            if not isinstance(cause, OperationFailure) or cause.code not in (_NOT_FOUND, 27):
                raise


def _json(value: object) -> JsonObject:
    return cast(JsonObject, json.loads(dumps(value, json_options=CANONICAL_JSON_OPTIONS)))


def _index(index: dict[str, object]) -> JsonObject:
    """An index as canonical extended JSON, ``keys`` in their order instead of ``key``."""
    keys = cast(Mapping[str, object], index.pop("key"))
    pairs: list[Json] = [[field, _direction(way)] for field, way in keys.items()]
    index.pop("ns", None)
    return {**_json(index), "keys": pairs}


def _direction(way: object) -> Json:
    if isinstance(way, (int, float, Int64)) and way == int(way):
        return int(way)
    return str(way) if not isinstance(way, float) else way


def open_store(name: str, spec: StoreSpec, *, base: Path, state: Path, secrets: Secrets) -> MongoStore:
    """The store that a spec of type ``mongodb`` describes: ``uri`` and ``database``. Starts an embedded
    server if it does not run. Raises FordwayError."""
    given = spec.options.get("uri")
    uri = given if isinstance(given, str) else secrets(given, base)
    database = spec.options.get("database")
    if not isinstance(database, str) or not database:
        raise StoreRefused(name, "it names no database", hint="add 'database: …' to the store")
    if not uri.startswith("embedded:"):
        return MongoStore(name, uri, database, None)
    try:
        member = embedded.join(uri.removeprefix("embedded:"), state)
    except FordwayError as error:
        raise StoreRefused(name, error.message, hint=error.hint) from error
    with contextlib.ExitStack() as undo:
        undo.callback(member.release)
        store = MongoStore(name, member.uri, database, member)
        undo.pop_all()
    return store
