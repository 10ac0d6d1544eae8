"""A transaction whose process was killed does not hold up whoever goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import bson
import pymongo

from compiler.model.plan import StoreSpec
from executor.stores.bson_key import key_of
from executor.stores.port import Fate, RecordStore
from executor.stores.registry import open_store

KILLED = """
import sys, time, pymongo
client = pymongo.MongoClient(sys.argv[1], appname="fordway")
session = client.start_session()
session.start_transaction()
client[sys.argv[2]].records.update_one({"_id": 1}, {"$set": {"half": True}}, session=session)
print("written", flush=True)
time.sleep(600)
"""


def test_an_orphaned_transaction_is_ended(mongod: str, tmp_path: Path) -> None:
    """A record that a killed process had locked can be written at once, not after the server's minute."""
    name = "t" + uuid.uuid4().hex[:10]
    with pymongo.MongoClient(mongod) as client:
        client[name].records.insert_one({"_id": 1})
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, mongod, name], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "written\n"
            os.kill(child.pid, signal.SIGKILL)
        store = open_store(
            "db",
            StoreSpec(type="mongodb", options={"uri": mongod, "database": name}),
            base=tmp_path,
            state=tmp_path,
        )
        assert isinstance(store, RecordStore)
        wanted = bson.encode({"_id": 1, "whole": True})
        rounds = 0

        def decide(record: bytes) -> bytes:
            nonlocal rounds
            rounds += 1
            assert record == bson.encode({"_id": 1})
            return wanted

        [revised] = store.revise("records", [key_of(wanted)], decide)
        assert revised.fate is Fate.REPLACED
        store.close()
        assert rounds > 1, "there was no conflict to get over"
        assert client[name].records.find_one() == {"_id": 1, "whole": True}
        killed = client.admin.command("serverStatus")["transactions"]["totalAborted"]
        assert killed >= 1
        client.drop_database(name)
