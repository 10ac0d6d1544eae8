"""Undo logs in the server whose data they take back: database ``fordway``, collection ``undo_<run>``, one
document an entry. So the databases of the user hold nothing of Fordway's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import bson
from bson.raw_bson import RawBSONDocument

from executor.stores.mongodb.client import told
from executor.stores.mongodb.commands import RAW, raw, run
from executor.stores.mongodb.writing import MAJORITY, write_errors

if TYPE_CHECKING:
    from pymongo import MongoClient

HOME = "fordway"
"""The database that Fordway keeps its own things in."""
PREFIX = "undo_"


class MongoUndoLog:
    """A :class:`~executor.contract.UndoLog` of one step. Entries have less than 16 MB."""

    def __init__(self, store: str, client: MongoClient[dict[str, object]], run_id: str, step: str) -> None:
        self._store, self._database = store, client[HOME]
        self._collection, self._step = PREFIX + run_id, step

    def put(self, number: int, entry: bytes) -> None:
        """Keep an entry, acknowledged by a majority and on disk."""
        self.put_all({number: entry})

    def put_all(self, entries: Mapping[int, bytes]) -> None:
        """Keep entries with one wait for the disk. Together they have less than 16 MB, or there is one."""
        updates = [
            {
                "q": {"_id": self._id(number)},
                "u": raw(bson.encode({"_id": self._id(number), "entry": raw(entry)})),
                "upsert": True,
            }
            for number, entry in entries.items()
        ]
        command = {"update": self._collection, "updates": updates, "writeConcern": MAJORITY}
        reply = run(self._store, self._database, command)
        write_errors(self._store, reply)

    def newest_first(self) -> Sequence[int]:
        prefix = self._id_prefix()
        with told(self._store):
            found = self._database[self._collection].find(
                {"_id": {"$gte": prefix, "$lt": prefix[:-1] + "0"}}, {"_id": 1}
            )
            # '0' follows '/' in ASCII.
            return sorted((int(str(item["_id"])[len(prefix) :]) for item in found), reverse=True)

    def get(self, number: int) -> bytes:
        """Raises KeyError if there is no such entry."""
        with told(self._store):
            collection = self._database.get_collection(self._collection, codec_options=RAW)
            found = collection.find_one({"_id": self._id(number)})
        entry = found["entry"] if found is not None else None
        if not isinstance(entry, RawBSONDocument):
            raise KeyError(number)
        return bytes(entry.raw)

    def _id_prefix(self) -> str:
        return f"{self._step}/"

    def _id(self, number: int) -> str:
        return f"{self._step}/{number:016d}"
