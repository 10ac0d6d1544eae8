"""MongoDB to ChromaDB, and to both as one unit."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from compiler.model.plan import JsonObject
from tests.bench.copying import document, fill
from tests.bench.measuring import Bench, Row, ratio
from tests.engines.driving import unified as unified_params
from tests.engines.driving import vectors_only

COUNT, SIZE, DIMENSION = 10_000, 1000, 384
_CONTENT: JsonObject = {
    "content": {"type": "note", "text": "body", "metadata": ["status"], "vectorMetadata": ["status"]}
}


def _vector(number: int) -> bytes:
    values: Any = np.random.default_rng(number).normal(size=DIMENSION).astype("<f4")
    return bytes(values.tobytes())


def _fill(bench: Bench, collection: str, count: int) -> None:
    """Documents that bring their vectors as packed float32."""
    bench.database.drop_collection(collection)
    for start in range(0, count, 1000):
        some = [
            {**document(number, SIZE), "vector": _vector(number)}
            for number in range(start, min(count, start + 1000))
        ]
        bench.database[collection].insert_many(some)


def _prepared(count: int, *, documents: bool) -> list[dict[str, Any]]:
    """Batches of a thousand, ready for ChromaDB: the same content as ours."""
    batches: list[dict[str, Any]] = []
    for start in range(0, count, 1000):
        numbers = range(start, min(count, start + 1000))
        some = [document(number, SIZE) for number in numbers]
        batches.append(
            {
                "ids": [f"source:int:{number}" for number in numbers],
                "embeddings": np.array([np.frombuffer(_vector(number), "<f4") for number in numbers]),
                "metadatas": [
                    {"contentHash": f"xxh3:{item['_id']:032x}", "status": item["status"]} for item in some
                ],
                "documents": [item["body"] for item in some] if documents else None,
            }
        )
    return batches


def plain_add(bench: Bench, batches: list[dict[str, Any]]) -> Callable[[], float]:
    """A loop that adds prepared batches to a fresh folder; returns its seconds."""
    import chromadb
    from chromadb.config import Settings

    def run() -> float:
        path = bench.folder / ("plain" + uuid.uuid4().hex[:8])
        client = chromadb.PersistentClient(str(path), settings=Settings(anonymized_telemetry=False))
        try:
            collection = client.create_collection(
                "target", configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
            )
            begun = time.perf_counter()
            for batch in batches:
                collection.add(**batch)
            return time.perf_counter() - begun
        finally:
            client.close()

    return run


def _params(make: Callable[..., JsonObject]) -> JsonObject:
    return make(
        source={"store": "m", "collection": "source"},
        transform=_CONTENT,
        embedding={"provider": "source", "field": "vector"},
        dimension=DIMENSION,
        batchSize=1000,
        workers=None,
    )


def vectors(bench: Bench) -> list[Row]:
    """MongoDB to ChromaDB against adding prepared batches of the same content."""
    count = int(COUNT * bench.scale)
    _fill(bench, "source", count)
    found = bench.interleaved(
        {
            "loop": plain_add(bench, _prepared(count, documents=False)),
            "ours": bench.step(_params(vectors_only), lambda counts: counts.written == count),
        },
        lambda: None,
    )
    label = f"MongoDB to ChromaDB, {DIMENSION} dimensions × {count:,}"
    return [Row(f"{label}: against adding prepared batches", ratio(found["loop"], found["ours"]), "0.95")]


def unified(bench: Bench) -> list[Row]:
    """Text in MongoDB and vectors in ChromaDB, against a loop that stores the documents in ChromaDB."""
    count = int(COUNT * bench.scale)
    _fill(bench, "source", count)

    def empty() -> None:
        bench.database.drop_collection("target")

    found = bench.interleaved(
        {
            "loop": plain_add(bench, _prepared(count, documents=True)),
            "ours": bench.step(_params(unified_params), lambda counts: counts.written == count),
        },
        empty,
    )
    label = f"unified, {DIMENSION} dimensions × {count:,}"
    fill(bench, "source", count, SIZE)
    static = unified_params(batchSize=1000, workers=None, transform=_CONTENT)
    embedded = bench.interleaved(
        {"static": bench.step(static, lambda counts: counts.written == count)}, empty
    )
    return [
        Row(
            f"{label}: against a loop that also stores the documents",
            ratio(found["loop"], found["ours"]),
            "2",
        ),
        Row(
            f"unified with static embeddings, 256 dimensions × {count:,}",
            f"{count / embedded['static'].median:,.0f} records a second",
        ),
    ]
