"""Vectors from a Python function that the plan names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from compiler.model.plan import JsonObject
from executor.embedding.port import Embedded, EmbeddingRefused
from executor.transform.functions import fingerprint, load_function
from executor.transform.rejection import one_line


class FunctionEmbedder:
    """``def embed(texts: list[str])`` → a vector for each: lists of numbers or a numpy array.

    Calls never overlap, since a model in a plan's folder was hardly written for threads. No text is
    blank. A change of the function's file changes the fingerprint.
    """

    def __init__(self, reference: str, base: Path, dimension: int) -> None:
        self._function: Callable[[list[str]], object] = load_function(reference, base)
        self._name = f"the function {reference}"
        self._lock = threading.Lock()
        self._dimension = dimension
        self._fingerprint = f"python/{reference}-{dimension}@{fingerprint(reference, base)}"

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def from_documents(self) -> bool:
        return False

    def embed(self, texts: Sequence[str]) -> Embedded:
        from executor.embedding.checks import embed_checked

        return embed_checked(texts, self._dimension, self._call, provider=self._name)

    def close(self) -> None:
        """Nothing is open."""

    def _call(self, texts: list[str]) -> tuple[object, Mapping[int, str]]:
        try:
            with self._lock:
                return self._function(texts), {}
        except Exception as error:
            raise EmbeddingRefused(f"{self._name} fails: {one_line(error)}") from error


def open_embedder(spec: JsonObject, base: Path, dimension: int | None) -> FunctionEmbedder:
    """``{provider: python, function: ./f.py:embed, dimension: n}``."""
    reference, own = spec.get("function"), spec.get("dimension", dimension)
    if not isinstance(reference, str) or not isinstance(own, int):
        raise EmbeddingRefused("the embedding provider 'python' needs a function and a dimension")
    return FunctionEmbedder(reference, base, own)
