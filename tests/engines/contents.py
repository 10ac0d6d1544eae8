"""What the stores of a test hold, as bytes, to be compared with what they held before."""

from __future__ import annotations

from typing import Any

import numpy as np

from executor.stores.port import RecordStore, VectorStore


def records(store: RecordStore, collection: str) -> list[bytes]:
    """The records of a collection in the order of their keys."""
    return [record for batch in store.source(collection).read(None) for record in batch.records]


def vectors(store: VectorStore, collection: str) -> dict[str, tuple[Any, Any, Any]]:
    """Metadata, document and vector (rounded to what normalising leaves) by id."""
    found: dict[str, tuple[Any, Any, Any]] = {}
    for part in store.scan(collection):
        assert part.vectors is not None
        assert part.documents is not None
        for row, record_id in enumerate(part.ids):
            rounded = tuple(np.round(part.vectors[row].astype(float), 4).tolist())
            found[record_id] = (part.metadatas[row], part.documents[row], rounded)
    return found
