"""What gives texts their vectors, and the registry of its providers."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from compiler.model.plan import JsonObject
from executor.contract import FordwayError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """The vectors of a batch of texts, in their order.

    ``vectors`` is a C-contiguous float32 array of shape (texts, dimension). ``unusable`` maps the index
    of each text that has no vector to the reason; its row is NaN. Every other row is finite.
    """

    vectors: Vectors
    unusable: Mapping[int, str]


class Embedder(Protocol):
    """A provider, opened. One instance serves several threads.

    ``fingerprint`` says in one line which vectors these are; equal fingerprint and equal text mean
    vectors that may stay. ``from_documents``: the vectors come with the documents (BatchResult.vectors)
    and :meth:`embed` is never called.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def from_documents(self) -> bool: ...

    def embed(self, texts: Sequence[str]) -> Embedded:
        """The texts' vectors. Raises EmbeddingUnavailable (transient) or EmbeddingRefused."""
        ...

    def close(self) -> None: ...


class EmbeddingRefused(FordwayError):
    """The provider cannot do what the plan asks of it; trying again would not help."""


class EmbeddingUnavailable(FordwayError):
    """The provider does not answer, or not now."""

    transient = True


Opener: TypeAlias = Callable[[JsonObject, Path, int | None], Embedder]

EMBEDDERS: Mapping[str, str] = {
    "openai": "executor.embedding.openai",
    "python": "executor.embedding.function",
    "source": "executor.embedding.source",
    "static": "executor.embedding.static",
}
"""Provider → the module that has its ``open_embedder``; imported when first asked for, since a model's
libraries are heavy."""


def open_embedder(spec: JsonObject, *, base: Path, dimension: int | None = None) -> Embedder:
    """The embedder that ``spec`` (a store's or a bulk's ``embedding``) asks for.

    ``base`` is the folder that relative paths start from. ``dimension`` is what the target collection
    wants, None if it does not say. Nothing is loaded or asked over the network yet: this is cheap, and
    enough to know the fingerprint. Raises FordwayError: unknown provider, a package that is not
    installed, a dimension that the provider does not have, a secret that is not there.
    """
    provider = spec.get("provider")
    module = EMBEDDERS.get(provider) if isinstance(provider, str) else None
    if module is None:
        raise EmbeddingRefused(
            f"unknown embedding provider {provider!r}", hint="known are " + ", ".join(sorted(EMBEDDERS))
        )
    opener = cast(Opener, importlib.import_module(module).open_embedder)
    embedder = opener(spec, base, dimension)
    if dimension is not None and embedder.dimension != dimension:
        embedder.close()
        raise EmbeddingRefused(
            f"the embedding provider '{provider}' gives vectors of {embedder.dimension} dimensions,"
            f" the target wants {dimension}",
            hint=f"write dimension: {embedder.dimension} at the store, or choose another provider",
        )
    return embedder
