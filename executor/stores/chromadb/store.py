"""A ChromaDB folder or server as a store of vectors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from compiler.model.plan import JsonObject, StoreSpec
from executor.contract import StoreRefused, UndoLog
from executor.lease import LeaseHome
from executor.stores.chromadb.folder import close_folder, open_folder
from executor.stores.chromadb.server import Address, close_server, open_server
from executor.stores.chromadb.telling import NotThere, told
from executor.stores.chromadb.writing import Writer, metric_of, rows_of
from executor.stores.port import Capabilities, CollectionFacts, Refusal, Secrets, VectorRecords

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

METRICS = ("cosine", "l2", "ip")
EMBEDDING, DIMENSION = "fordway:embedding", "fordway:dimension"
"""What Fordway writes into the metadata of a collection that it creates."""


class ChromaStore:
    """The collections of one folder or server. Safe from several threads; writes go one after the other,
    since four threads gain nothing there."""

    def __init__(
        self, name: str, client: ClientAPI, place: str, close: Callable[[], None], *, one_process: bool
    ) -> None:
        self.name = name
        self._client, self._place, self._close = client, place, close
        self._writing = threading.Lock()
        self._closing = threading.Lock()
        self._open = True
        self.capabilities = Capabilities(
            vectors=True, one_process=one_process, metrics=METRICS, max_batch=self._max_batch
        )

    @cached_property
    def _max_batch(self) -> int:
        with told(self.name):
            return int(self._client.get_max_batch_size())

    def ping(self) -> None:
        """See Store."""
        with told(self.name):
            self._client.heartbeat()

    def close(self) -> None:
        """May be called twice."""
        with self._closing:
            if not self._open:
                return
            self._open = False
            self._close()

    def collections(self) -> list[str]:
        with told(self.name):
            return sorted(collection.name for collection in self._client.list_collections())

    def _collection(self, collection: str) -> Collection:
        # Not kept: it may be dropped and made again. Never with a function of its own, which would
        # download a model.
        with told(self.name):
            return self._client.get_collection(collection, embedding_function=None)

    def exists(self, collection: str) -> bool:
        try:
            self._collection(collection)
        except NotThere:
            return False
        return True

    def count(self, collection: str, where: JsonObject | None = None) -> int:
        """``where`` is ChromaDB's own filter on metadata."""
        try:
            found = self._collection(collection)
        except NotThere:
            return 0
        with told(self.name):
            return len(found.get(where=where, include=[])["ids"]) if where else int(found.count())

    def facts(self, collection: str) -> CollectionFacts:
        try:
            found = self._collection(collection)
        except NotThere:
            return CollectionFacts(exists=False)
        with told(self.name):
            count = int(found.count())
            metadata = dict(found.metadata or {})
            dimension = self._dimension(found, count)
        embedding = metadata.get(EMBEDDING)
        return CollectionFacts(
            exists=True,
            count=count,
            options={"metadata": cast(JsonObject, metadata)} if metadata else {},
            metric=metric_of(found),
            dimension=dimension,
            embedding=str(embedding) if embedding is not None else None,
        )

    def _dimension(self, found: Collection, count: int) -> int | None:
        if count:
            some = found.get(limit=1, include=["embeddings"])["embeddings"]
            if some is not None and len(some):
                return len(some[0])
        declared = (found.metadata or {}).get(DIMENSION)
        return int(declared) if declared is not None else None

    def create(
        self, collection: str, *, metric: str, dimension: int | None = None, embedding: str | None = None
    ) -> None:
        if metric not in METRICS:
            raise StoreRefused(
                self.name, f"there is no metric '{metric}'", hint="known are " + ", ".join(METRICS)
            )
        metadata: dict[str, str | int] = {}
        if embedding is not None:
            metadata[EMBEDDING] = embedding
        if dimension is not None:
            metadata[DIMENSION] = dimension
        with told(self.name):
            self._client.create_collection(
                collection,
                metadata=metadata or None,
                configuration={"hnsw": {"space": metric}},
                embedding_function=None,
            )

    def check(
        self, collection: str, *, metric: str, dimension: int | None = None, embedding: str | None = None
    ) -> None:
        facts = self.facts(collection)
        if not facts.exists:
            return
        wanted = (
            ("the metric", metric, facts.metric),
            ("vectors of dimension", dimension, facts.dimension),
            ("vectors of the embedding", embedding, facts.embedding),
        )
        for what, plan, there in wanted:
            if plan is not None and there is not None and plan != there:
                raise StoreRefused(
                    self.name,
                    f"collection '{collection}' has {what} '{there}', the plan wants '{plan}'",
                    hint="it cannot be changed: use another collection, or change the plan",
                )

    def drop(self, collection: str) -> None:
        with self._writing:
            try:
                with told(self.name):
                    self._client.delete_collection(collection)
            except NotThere:
                return

    def get(
        self, collection: str, ids: Sequence[str], *, vectors: bool = True, documents: bool = True
    ) -> VectorRecords:
        try:
            found = self._collection(collection)
        except NotThere:
            return VectorRecords(ids=(), documents=() if documents else None)
        parts = [
            self._get(found, ids[at : at + self._max_batch], vectors, documents)
            for at in range(0, len(ids), self._max_batch)
        ]
        return _joined(parts, vectors, documents)

    def _get(self, found: Collection, ids: Sequence[str], vectors: bool, documents: bool) -> VectorRecords:
        include = ["metadatas"] + ["embeddings"] * vectors + ["documents"] * documents
        with told(self.name):
            result = found.get(ids=list(ids), include=include)
        rows = result["embeddings"]
        return VectorRecords(
            ids=result["ids"],
            vectors=np.asarray(rows, dtype=np.float32) if vectors and len(result["ids"]) else None,
            metadatas=result["metadatas"],
            documents=result["documents"] if documents else None,
        )

    def scan(self, collection: str, batch_records: int = 1000) -> Iterator[VectorRecords]:
        try:
            found = self._collection(collection)
        except NotThere:
            return
        with told(self.name):
            ids = sorted(found.get(include=[])["ids"])
        size = min(batch_records, self._max_batch)
        for at in range(0, len(ids), size):
            yield self._get(found, ids[at : at + size], True, True)

    def add(self, collection: str, records: VectorRecords) -> list[Refusal]:
        writer = self._writer(collection, records)
        with self._writing:
            return writer.add()

    def replace(self, collection: str, records: VectorRecords, before: VectorRecords) -> list[Refusal]:
        writer = self._writer(collection, records)
        with self._writing:
            return writer.replace(before)

    def _writer(self, collection: str, records: VectorRecords) -> Writer:
        found = self._collection(collection)
        if len(records.ids):
            with told(self.name):
                there = self._dimension(found, 1)
            given = rows_of(records).shape[1]
            if there is not None and there != given:
                raise StoreRefused(
                    self.name, f"collection '{collection}' has vectors of dimension {there}, not {given}"
                )
        return Writer(self.name, found, records, metric=metric_of(found), at_once=self._max_batch)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        try:
            found = self._collection(collection)
        except NotThere:
            return
        with self._writing:
            for at in range(0, len(ids), self._max_batch):
                with told(self.name):
                    found.delete(ids=list(ids[at : at + self._max_batch]))

    def undo_log(self, run: str, step: str) -> UndoLog | None:  # noqa: ARG002
        return None

    def undo_runs(self) -> Mapping[str, int]:
        return {}

    def drop_undo(self, run: str) -> None:
        """Nothing is kept here."""

    def lease_home(self) -> LeaseHome | None:
        return None

    def lease_target(self, collection: str) -> str:
        return f"{self._place}/{collection}"


def _joined(parts: Sequence[VectorRecords], vectors: bool, documents: bool) -> VectorRecords:
    if len(parts) == 1:
        return parts[0]
    rows = [part.vectors for part in parts if part.vectors is not None]
    return VectorRecords(
        ids=[record_id for part in parts for record_id in part.ids],
        vectors=np.concatenate(rows) if vectors and rows else None,
        metadatas=[metadata for part in parts for metadata in part.metadatas],
        documents=[text for part in parts for text in part.documents or ()] if documents else None,
    )


def open_store(name: str, spec: StoreSpec, *, base: Path, state: Path, secrets: Secrets) -> ChromaStore:  # noqa: ARG001
    """The store that a spec of type ``chromadb`` describes: ``path``, or ``host`` and ``port``. Raises
    StoreError; TargetsLocked if another process has the folder."""
    path = spec.options.get("path")
    if isinstance(path, str):
        embedded = path.removeprefix("embedded:")
        folder = state / "chromadb" / embedded if embedded != path else base / path
        folder = folder.resolve()
        return ChromaStore(
            name, open_folder(name, folder), str(folder), lambda: close_folder(name, folder), one_process=True
        )
    host, port = spec.options.get("host"), spec.options.get("port", 8000)
    if not isinstance(host, str) or not isinstance(port, int):
        raise StoreRefused(name, "it needs a 'path', or a 'host' and a 'port'")
    address = Address(host, port, spec.options.get("ssl") is True)
    return ChromaStore(
        name, open_server(name, address), str(address), lambda: close_server(name, address), one_process=False
    )
