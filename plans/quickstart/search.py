"""Asks the quickstart's result a question, and prints the best answers: distance, id and text.

    .venv/bin/python plans/quickstart/search.py "a doctor who looks after teeth"

The question becomes a vector by the model that made the vectors of the notes. ChromaDB finds the
nearest ids; the texts are in MongoDB, whose embedded server runs for as long as they are read.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import bson
import chromadb

from compiler.driver import compile_file
from executor.contract import FordwayError
from executor.embedding.port import open_embedder
from executor.stores.port import RecordStore
from executor.stores.registry import OpenStores

PLAN = Path(__file__).with_name("plan.yaml")
STATE = Path(os.environ.get("FORDWAY_STATE", ".plan"))


def nearest(question: str, count: int) -> dict[str, float]:
    """The ids of the notes that mean about the same, the nearest first, with their cosine distance."""
    with closing(open_embedder({"provider": "static"}, base=PLAN.parent)) as embedder:
        vectors = embedder.embed([question]).vectors
    settings = chromadb.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(STATE / "chromadb/quickstart"), settings)
    # No embedding function: ChromaDB's own would download a model.
    collection = client.get_collection("content", embedding_function=None)
    found = collection.query(query_embeddings=vectors, n_results=count, include=["distances"])
    distances = found["distances"]
    assert distances is not None
    return dict(zip(found["ids"][0], distances[0], strict=True))


def texts(ids: list[str]) -> dict[str, str]:
    """The texts of these ids, from the plan's store `documents`."""
    plan = compile_file(PLAN).plan
    assert plan is not None
    with closing(OpenStores(plan.stores, base=PLAN.parent, state=STATE)) as stores:
        documents = stores.open("documents")
        assert isinstance(documents, RecordStore)
        records = documents.fetch("content", [bson.encode({"_id": item}) for item in ids])
    return {note["_id"]: note["content"] for note in map(bson.decode, records)}


def main(question: str) -> None:
    if not (STATE / "chromadb/quickstart").is_dir():
        sys.exit("There is nothing to search here yet: run plans/quickstart/run first.")
    try:
        answers = nearest(question, 3)
        content = texts(list(answers))
    except FordwayError as error:
        sys.exit(f"{error.message}\n{error.hint}".strip())
    print(f'"{question}"')
    for item, distance in answers.items():
        print(f"  {distance:.2f}  {item}\n        {content[item]}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit('usage: python search.py "QUESTION"')
    main(sys.argv[1])
