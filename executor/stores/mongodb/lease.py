"""Leases on collections, kept in the server that holds the collections, by that server's own clock."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from executor.contract import TargetsLocked
from executor.owner import Owner, in_words
from executor.stores.mongodb.client import told
from executor.stores.mongodb.undo import HOME

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection

LEASES = "leases"


class MongoLeases:
    """A :class:`~executor.lease.LeaseHome` in ``fordway.leases``: one document a target, which stays when
    the lease ends, so that its token goes on rising."""

    def __init__(self, store: str, client: MongoClient[dict[str, object]]) -> None:
        self._store, self._client = store, client

    def acquire(self, target: str, owner: Owner, ttl: float, steal: Callable[[Owner], bool]) -> int:
        """Take the lease where it is free, expired, or held by a process for which ``steal`` is true.
        ``ttl`` is in seconds. Returns the fencing token. Raises TargetsLocked, StoreError."""
        nonce = secrets.token_hex(8)
        stolen: object = None
        while True:
            found = self._take(target, owner, ttl, nonce, stolen)
            if found.get("nonce") == nonce:
                return int(str(found["token"]))
            holder = _owner(found)
            if stolen == found["token"] or not steal(holder):
                left = max(0.0, float(str(found["left"])) / 1000)
                raise TargetsLocked(target, f"{in_words(holder)}, for {left:.0f} s more")
            stolen = found["token"]

    def _take(self, target: str, owner: Owner, ttl: float, nonce: str, stolen: object) -> dict[str, object]:
        """One conditional update; the document as it is afterwards, with ``left`` in milliseconds."""
        from pymongo import ReturnDocument
        from pymongo.errors import DuplicateKeyError

        free: dict[str, object] = {
            "$or": [{"$lte": [{"$ifNull": ["$until", None]}, "$$NOW"]}, {"$eq": ["$token", stolen]}]
        }
        ours = {
            "token": {"$add": [{"$ifNull": ["$token", 0]}, 1]},
            "owner": {"$literal": dict(owner)},
            "nonce": {"$literal": nonce},
            "until": {"$add": ["$$NOW", round(ttl * 1000)]},
        }
        change: dict[str, object] = {
            "$replaceWith": {"$mergeObjects": ["$$ROOT", {"$cond": [free, ours, {}]}]}
        }
        left = {"$set": {"left": {"$subtract": ["$until", "$$NOW"]}}}
        while True:
            with told(self._store):
                try:
                    found = self._collection().find_one_and_update(
                        {"_id": target}, [change, left], upsert=True, return_document=ReturnDocument.AFTER
                    )
                except DuplicateKeyError:
                    continue  # two first takers at once: now there is a document to look at
            if found is not None:
                return found

    def renew(self, target: str, token: int, ttl: float) -> bool:
        """Prolong it by ``ttl`` seconds from now; False if it is no longer ours."""
        change = {"$set": {"until": {"$add": ["$$NOW", round(ttl * 1000)]}}}
        with told(self._store):
            return (
                self._collection()
                .update_one({"_id": target, "token": token, "nonce": {"$ne": None}}, [change])
                .matched_count
                == 1
            )

    def release(self, target: str, token: int) -> None:
        """End it; nothing happens if it is no longer ours."""
        with told(self._store):
            self._collection().update_one(
                {"_id": target, "token": token}, [{"$set": {"until": None, "nonce": None}}]
            )

    def holders(self) -> list[tuple[str, Owner, float]]:
        """(target, owner, seconds left) of every lease that is held, by target."""
        with told(self._store):
            found = self._collection().aggregate(
                [
                    {"$match": {"$expr": {"$gt": ["$until", "$$NOW"]}}},
                    {"$set": {"left": {"$subtract": ["$until", "$$NOW"]}}},
                    {"$sort": {"_id": 1}},
                ]
            )
            return [(str(item["_id"]), _owner(item), float(str(item["left"])) / 1000) for item in found]

    def _collection(self) -> Collection[dict[str, object]]:
        return self._client[HOME][LEASES]


def _owner(document: Mapping[str, object]) -> dict[str, str | int]:
    owner = document.get("owner")
    if not isinstance(owner, Mapping):
        return {}
    return {str(key): value for key, value in owner.items() if isinstance(value, (str, int))}
