"""MongoDB to MongoDB: bytes as they are, and through a transform."""

from __future__ import annotations

import itertools
import queue
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from compiler.model.plan import JsonObject
from executor.transform.closure import compile_transform
from tests.bench.measuring import Bench, Document, Row, ratio, timed
from tests.engines.driving import copy

_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_WORDS = ("lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor " * 60).split()
SIZES = {400: 200_000, 3600: 50_000}


def document(number: int, size: int) -> Document:
    """A document of about ``size`` bytes with a few fields of several types."""
    rng = random.Random(number)
    body = {
        "_id": number,
        "name": f"name {number}",
        "status": str(number % 3),
        "tags": ["a", "b"],
        "score": str(rng.random()),
        "meta": {"author": f"author {number % 97}", "lang": "en"},
    }
    room = max(0, size - len(bson.encode(body)) - 12)
    start = rng.randrange(100)
    body["body"] = " ".join(_WORDS[start:])[:room]
    return body


def fill(bench: Bench, collection: str, count: int, size: int) -> None:
    """The source collection."""
    bench.database.drop_collection(collection)
    for start in range(0, count, 2000):
        some = [document(number, size) for number in range(start, min(count, start + 2000))]
        bench.database[collection].insert_many(some)


def plain_pipeline(bench: Bench, source: str, target: str, writers: int = 2) -> None:
    """The best plain pipeline: raw documents, batches of 1,000, so many writers."""
    waiting: queue.Queue[list[RawBSONDocument] | None] = queue.Queue(4)
    into = bench.database.get_collection(target, codec_options=_RAW)

    def write() -> None:
        while (batch := waiting.get()) is not None:
            into.insert_many(batch, ordered=False)

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for batch in batches(bench, source, 1000):
        waiting.put(batch)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()


def plain_loop(bench: Bench, source: str, target: str) -> None:
    """The plain loop: read a thousand raw documents, write them."""
    into = bench.database.get_collection(target, codec_options=_RAW)
    for batch in batches(bench, source, 1000):
        into.insert_many(batch, ordered=False)


def batches(bench: Bench, source: str, size: int):  # type: ignore[no-untyped-def]
    """Raw documents, so many at a time."""
    cursor = bench.database.get_collection(source, codec_options=_RAW).find({}, batch_size=size)
    while batch := list(itertools.islice(cursor, size)):
        yield batch


def fresh(bench: Bench, target: str = "target") -> Callable[[], None]:
    """An empty target before each case; the collection exists, as after a provision step."""

    def make() -> None:
        bench.database.drop_collection(target)
        bench.database.create_collection(target)

    return make


def copies(bench: Bench) -> list[Row]:
    """A copy without a transform, and the same again."""
    rows: list[Row] = []
    for size, full in SIZES.items():
        count = int(full * bench.scale)
        source = f"source{size}"
        fill(bench, source, count, size)
        params = copy(source=source, batchSize=None)
        found = bench.interleaved(
            {
                "pipeline": timed(lambda source=source: plain_pipeline(bench, source, "target")),
                "ours": bench.step(params, lambda counts, count=count: counts.written == count),
                "loop": timed(lambda source=source: plain_loop(bench, source, "target")),
            },
            fresh(bench),
        )
        label = f"copy, {size / 1000:g} KB × {count:,}"
        rows.append(
            Row(f"{label}: against raw reader, two writers", ratio(found["pipeline"], found["ours"]), "0.95")
        )
        rows.append(Row(f"{label}: against raw loop", ratio(found["loop"], found["ours"])))
        fresh(bench)()
        plain_loop(bench, source, "target")
        again = bench.interleaved(
            {"again": bench.step(params, lambda counts, count=count: counts.unchanged == count)}, lambda: None
        )
        rows.append(Row(f"{label}: second apply against the first", ratio(found["ours"], again["again"])))
        bench.database.drop_collection(source)
    return rows


TRANSFORM: JsonObject = {
    "steps": [
        {"rename": {"meta.author": "author", "name": "title"}},
        {"cast": {"score": "double"}},
        {"map": {"status": {"values": {"0": "draft", "1": "live"}, "otherwise": "old"}}},
        {"default": {"lang": "en"}},
        {"drop": ["meta", "tags"]},
        {"template": {"content": "{{ title }}\n\n{{ body }}"}},
    ]
}


def transform_loop(bench: Bench, source: str, target: str) -> None:
    """One process: read a thousand, call the same closure on each, write them."""
    transform = compile_transform(TRANSFORM, base=Path())
    into = bench.database[target]
    cursor = bench.database[source].find({}, batch_size=1000)
    while some := list(itertools.islice(cursor, 1000)):
        changed: Sequence[Document] = [made for item in some if (made := transform(item)) is not None]
        into.insert_many(changed, ordered=False)


def transforms(bench: Bench) -> list[Row]:
    """A copy through a transform, in as many processes as there are cores."""
    rows: list[Row] = []
    for size, full in ((400, 100_000), (3600, 40_000)):
        count = int(full * bench.scale)
        source = f"source{size}"
        fill(bench, source, count, size)
        params = copy(source=source, batchSize=None, transform=TRANSFORM, mode="documents")
        found = bench.interleaved(
            {
                "loop": timed(lambda source=source: transform_loop(bench, source, "target")),
                "ours": bench.step(params, lambda counts, count=count: counts.written == count),
            },
            fresh(bench),
        )
        rows.append(
            Row(
                f"transform, {size / 1000:g} KB × {count:,}: against one process with the same closure",
                ratio(found["loop"], found["ours"]),
                "1.3",
            )
        )
        bench.database.drop_collection(source)
    return rows
