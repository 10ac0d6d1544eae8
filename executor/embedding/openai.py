"""Vectors from any endpoint that speaks OpenAI's embeddings API (``POST {baseUrl}/embeddings``).

https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from compiler.model.plan import JsonObject
from executor.embedding.endpoint import Busy, Endpoint, Unacceptable
from executor.embedding.port import Embedded, EmbeddingRefused, EmbeddingUnavailable
from executor.secrets import Secret, resolve

BATCH = 100
"""Texts in one request, where the plan does not say."""
TIMEOUT = 60.0
"""Seconds for one request, where the plan does not say."""

_ATTEMPTS = 5
_FIRST_WAIT = 0.5  # seconds; doubles
_LONGEST_WAIT = 60.0  # seconds; an endpoint that asks for more is not available now
_PROBE = "a"


class OpenAIEmbedder:
    """Sends batches of texts, waits where it is told to, and finds the texts that are refused.

    The fingerprint has the model and the dimension, not the address: the same model behind another
    proxy gives the same vectors. ``sleep`` takes seconds.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        dimension: int,
        batch_size: int = BATCH,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._endpoint = endpoint
        self._dimension = dimension
        self._batch_size = batch_size
        self._sleep = sleep
        self._accepted = False

    @property
    def fingerprint(self) -> str:
        return f"openai/{self._endpoint.model}-{self._dimension}"

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def from_documents(self) -> bool:
        return False

    def embed(self, texts: Sequence[str]) -> Embedded:
        from executor.embedding.checks import embed_checked

        return embed_checked(texts, self._dimension, self._raw, provider=str(self._endpoint))

    def close(self) -> None:
        self._endpoint.close()

    def _raw(self, texts: list[str]) -> tuple[list[Sequence[float]], Mapping[int, str]]:
        rows: list[Sequence[float]] = []
        reasons: dict[int, str] = {}
        for start in range(0, len(texts), self._batch_size):
            for row in self._batch(texts[start : start + self._batch_size]):
                if isinstance(row, str):
                    reasons[len(rows)] = row
                    row = [0.0] * self._dimension
                rows.append(row)
        return rows, reasons

    def _batch(self, texts: list[str]) -> list[Sequence[float] | str]:
        """A vector for each text, or why the endpoint would not take it: one text that is too long must
        not take its batch with it, so a refused batch is halved until the text is found."""
        try:
            return list(self._ask(texts))
        except Unacceptable as refusal:
            self._prove_configuration(refusal)
            if len(texts) == 1:
                return [refusal.reason]
        half = len(texts) // 2
        return self._batch(texts[:half]) + self._batch(texts[half:])

    def _prove_configuration(self, refusal: Unacceptable) -> None:
        """Raises EmbeddingRefused if the endpoint refuses everything: then it is not the text."""
        if self._accepted:
            return
        try:
            self._ask([_PROBE])
        except Unacceptable:
            raise EmbeddingRefused(refusal.reason) from refusal

    def _ask(self, texts: list[str]) -> list[Sequence[float]]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                vectors = self._endpoint.ask(texts)
            except Busy as busy:
                wait = max(_FIRST_WAIT * 2 ** (attempt - 1), busy.wait or 0.0)
                if attempt == _ATTEMPTS or wait > _LONGEST_WAIT:
                    raise EmbeddingUnavailable(busy.told(attempt)) from busy
                self._sleep(wait)
            else:
                self._accepted = True
                return vectors
        raise AssertionError("the last attempt returns or raises")


def open_embedder(spec: JsonObject, base: Path, dimension: int | None) -> OpenAIEmbedder:
    """``{provider: openai, baseUrl, model, apiKey?, dimension?, batchSize?, timeout? (seconds)}``.

    Raises FordwayError if the key is not there. Nothing is sent yet.
    """
    url, model, own = spec.get("baseUrl"), spec.get("model"), spec.get("dimension", dimension)
    if not isinstance(url, str) or not isinstance(model, str):
        raise EmbeddingRefused("the embedding provider 'openai' needs a baseUrl and a model")
    if not isinstance(own, int):
        raise EmbeddingRefused(
            "the embedding provider 'openai' needs a dimension", hint="write dimension: … beside the model"
        )
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise EmbeddingRefused(f"'{url}' is no address of an embeddings endpoint")
    key = spec.get("apiKey")
    secret = None if key is None else Secret(resolve(key, base=base).strip())
    timeout, batch_size = spec.get("timeout"), spec.get("batchSize")
    endpoint = Endpoint(
        url.rstrip("/") + "/embeddings",
        model,
        key=secret,
        timeout=float(timeout) if isinstance(timeout, (int, float)) else TIMEOUT,
    )
    return OpenAIEmbedder(
        endpoint, dimension=own, batch_size=batch_size if isinstance(batch_size, int) else BATCH
    )
