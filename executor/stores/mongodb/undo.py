"""Undo logs in the server whose data they take back: database ``fordway``, collection ``undo_<run>``, one
document an entry. So the databases of the user hold nothing of Fordway's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import bson
from bson.binary import Binary
from bson.raw_bson import RawBSONDocument

from executor.contract import StoreRefused
from executor.stores.mongodb.client import told, without_secrets
from executor.stores.mongodb.commands import RAW, raw, run
from executor.stores.mongodb.writing import MAJORITY, write_errors

if TYPE_CHECKING:
    from pymongo import MongoClient

HOME = "fordway"
"""The database that Fordway keeps its own things in."""
PREFIX = "undo_"
_WHOLE = 12_000_000
"""Bytes of the largest entry that is one document; MongoDB takes 16 MB."""


class MongoUndoLog:
    """A :class:`~executor.contract.UndoLog` of one step. Entries have less than 16 MB."""

    def __init__(self, store: str, client: MongoClient[dict[str, object]], run_id: str, step: str) -> None:
        self._store, self._database = store, client[HOME]
        self._collection, self._step = PREFIX + run_id, step

    def ready(self) -> None:
        """Create the collection, which takes longer than an entry."""
        try:
            run(self._store, self._database, {"create": self._collection})
        except StoreRefused:
            return  # it is there already, or the first entry will say what is wrong

    def put(self, number: int, entry: bytes) -> None:
        """Keep an entry, acknowledged by a majority and on disk."""
        self.put_all({number: entry})

    def put_all(self, entries: Mapping[int, bytes]) -> None:
        """Keep entries with one wait for the disk. Together they have less than 16 MB, or there is one."""
        updates: list[Mapping[str, object]] = []
        for number, entry in entries.items():
            if len(entry) <= _WHOLE:
                updates.append(self._upsert(self._id(number), {"entry": raw(entry)}))
                continue
            # Parts first: an entry is there when its head is.
            parts = [entry[at : at + _WHOLE] for at in range(0, len(entry), _WHOLE)]
            for place, part in enumerate(parts):
                self._write([self._upsert(self._part_id(number, place), {"part": Binary(part)})])
            updates.append(self._upsert(self._id(number), {"parts": len(parts)}))
        self._write(updates)

    def _upsert(self, document_id: str, body: dict[str, object]) -> Mapping[str, object]:
        document = raw(bson.encode({"_id": document_id, **body}))
        return {"q": {"_id": document_id}, "u": document, "upsert": True}

    def _write(self, updates: Sequence[Mapping[str, object]]) -> None:
        command = {"update": self._collection, "updates": updates, "writeConcern": MAJORITY}
        errors = write_errors(self._store, run(self._store, self._database, command))
        if errors:
            raise StoreRefused(
                self._store, f"a before-image cannot be kept: {without_secrets(errors[0].get('errmsg', ''))}"
            )

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
            parts = found.get("parts") if found is not None else None
            if isinstance(parts, int):
                wanted = [{"_id": self._part_id(number, place)} for place in range(parts)]
                kept = [(collection.find_one(one) or {}).get("part") for one in wanted]
                if not all(isinstance(part, bytes) for part in kept):
                    raise KeyError(number)
                return b"".join(part for part in kept if isinstance(part, bytes))
        entry = found["entry"] if found is not None else None
        if not isinstance(entry, RawBSONDocument):
            raise KeyError(number)
        return bytes(entry.raw)

    def _part_id(self, number: int, place: int) -> str:
        # No step's id has a colon.
        return f"part:{self._id(number)}/{place:04d}"

    def _id_prefix(self) -> str:
        return f"{self._step}/"

    def _id(self, number: int) -> str:
        return f"{self._step}/{number:016d}"
