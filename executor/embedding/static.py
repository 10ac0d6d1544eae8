"""Static token vectors that come in a wheel: no network, no key, fast enough for any load.

The wheel is ``wordllama`` 0.4.0.post1 (MIT): 32,000 tokens of 256 dimensions. Its files are read here
directly and pooled as it does (the mean of the tokens' vectors, of unit length). Its own classes are
not used: the loader looks for the tokenizer in the wrong folder and then asks the network, importing it
turns on everybody's logging, and it pads a batch to its longest text, which for one text of a megabyte
takes tens of gigabytes.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.model.plan import JsonObject
from executor.contract import FordwayError
from executor.embedding.port import Embedded, EmbeddingRefused

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from executor.embedding.port import Vectors

PACKAGE = "wordllama"
DIMENSION = 256
_PIECE = 16 * 1024  # characters; the tokenizer takes 700 bytes of memory a character, and its time
_AT_ONCE = 256 * 1024  # characters
_HINT = "pip install 'fordway[static]'"


class StaticEmbedder:
    """The model in the wheel. It is read at the first text (0.2 s, 50 MB), not before."""

    def __init__(self, folder: Path, version: str) -> None:
        self._weights = folder / "weights" / "l2_supercat_256.safetensors"
        self._vocabulary = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
        for path in (self._weights, self._vocabulary):
            if not path.is_file():
                raise EmbeddingRefused(f"{PACKAGE} {version} has no {path.name}", hint=_HINT)
        self._version = version
        self._lock = threading.Lock()
        self._model: tuple[Tokenizer, Vectors] | None = None

    @property
    def fingerprint(self) -> str:
        return f"static/wordllama-l2_supercat-{DIMENSION}@{self._version}"

    @property
    def dimension(self) -> int:
        return DIMENSION

    @property
    def from_documents(self) -> bool:
        return False

    def embed(self, texts: Sequence[str]) -> Embedded:
        from executor.embedding.checks import embed_checked

        return embed_checked(texts, DIMENSION, self._pool, provider="the static model")

    def close(self) -> None:
        with self._lock:
            self._model = None

    def _pool(self, texts: list[str]) -> tuple[Vectors, Mapping[int, str]]:
        import numpy as np

        tokenizer, table = self._loaded()
        sums = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for rows, pieces in _portions(texts):
            encoded = tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
            for row, encoding in zip(rows, encoded, strict=True):
                # The mean is left out: only the direction counts.
                known = np.minimum(np.asarray(encoding.ids, dtype=np.intp), len(table) - 1)
                sums[row] += table[known].sum(axis=0, dtype=np.float32)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        unusable = {int(at): "the text has no known token" for at in np.flatnonzero(lengths[:, 0] == 0)}
        lengths[lengths == 0] = 1
        return sums / lengths, unusable

    def _loaded(self) -> tuple[Tokenizer, Vectors]:
        with self._lock:
            if self._model is None:
                self._model = _read(self._weights, self._vocabulary)
            return self._model


def _portions(texts: list[str]) -> Iterator[tuple[list[int], list[str]]]:
    """Pieces of texts with their texts' indexes, so many at a time as memory is meant to hold."""
    rows: list[int] = []
    pieces: list[str] = []
    size = 0
    for row, text in enumerate(texts):
        for piece in _pieces(text):
            if pieces and size + len(piece) > _AT_ONCE:
                yield rows, pieces
                rows, pieces, size = [], [], 0
            rows.append(row)
            pieces.append(piece)
            size += len(piece)
    if pieces:
        yield rows, pieces


def _pieces(text: str) -> Iterator[str]:
    """A long text in pieces that are cut at spaces, where no token is cut with them."""
    start = 0
    while len(text) - start > _PIECE:
        space = text.rfind(" ", start + 1, start + _PIECE)
        end = space if space > 0 else start + _PIECE
        yield text[start:end]
        start = end + 1 if space > 0 else end
    yield text[start:]


def _read(weights: Path, vocabulary: Path) -> tuple[Tokenizer, Vectors]:
    try:
        import numpy as np
        from safetensors import safe_open
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(vocabulary))
        with safe_open(str(weights), framework="np") as file:
            table = np.ascontiguousarray(file.get_tensor("embedding.weight"), dtype=np.float32)
    except ImportError as error:
        raise FordwayError(f"the static model needs {error.name}", hint=_HINT) from error
    # Padding would give short texts the length of the longest one.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, table


def open_embedder(spec: JsonObject, base: Path, dimension: int | None) -> StaticEmbedder:  # noqa: ARG001
    """``{provider: static}``. Raises EmbeddingRefused if the wheel is not installed."""
    # Found, not imported: importing it loads its HTTP client and changes the logging.
    package = importlib.util.find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise EmbeddingRefused("the static model is not installed", hint=_HINT)
    folder = Path(next(iter(package.submodule_search_locations)))
    return StaticEmbedder(folder, importlib.metadata.version(PACKAGE))
