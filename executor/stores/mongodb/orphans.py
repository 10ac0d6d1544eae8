"""Transactions whose process was killed.

The server keeps such a transaction, with its locks on the records that it wrote, until it is a minute old;
whoever writes those records meanwhile gets a conflict. One of Fordway's own that sits idle for longer than
any of its live transactions does is ended instead; should it be alive after all, it is done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from executor.stores.mongodb.client import APP_NAME, told

if TYPE_CHECKING:
    from pymongo import MongoClient

IDLE = 3.0
"""Seconds after which an idle transaction counts as orphaned; live ones sit idle for milliseconds."""


def end_orphans(store: str, client: MongoClient[dict[str, object]]) -> int:
    """End the orphaned transactions that we may see; how many. Raises StoreError."""
    with told(store):
        found = list(
            client.admin.aggregate(
                [
                    {"$currentOp": {"allUsers": False, "idleSessions": True, "localOps": False}},
                    {
                        "$match": {
                            "type": "idleSession",
                            "appName": APP_NAME,
                            "transaction.timeInactiveMicros": {"$gt": int(IDLE * 1e6)},
                        }
                    },
                    {"$project": {"lsid": 1}},
                ]
            )
        )
        sessions = [{"id": lsid["id"]} for item in found if isinstance(lsid := item["lsid"], Mapping)]
        if sessions:
            client.admin.command({"killSessions": sessions})
    return len(sessions)
