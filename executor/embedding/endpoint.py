"""One request to an embeddings endpoint: what was answered, and what kind of failure it was."""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import time
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from executor.embedding.port import EmbeddingRefused
from executor.secrets import Secret

if TYPE_CHECKING:
    import httpx

_CONNECT = 10.0  # seconds
_LARGEST = 256 * 1024 * 1024  # bytes of an answer
_TOLD = 200  # characters of an endpoint's own words
_HEADER = re.compile(r"[!-~]+")
_BAD_TEXT = frozenset({400, 413, 422})
_LATER = frozenset({408, 409, 425, 429})


class Busy(Exception):
    """The endpoint did not answer, or not now. ``wait`` is how many seconds it asks for, if it does."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait

    def told(self, attempts: int) -> str:
        """The failure after so many attempts, for people."""
        wait = f", which asks to wait {self.wait:g} s" if self.wait else ""
        return f"{self.reason}{wait} (attempt {attempts})"


class Unacceptable(Exception):
    """The endpoint will not take these texts, or nothing at all: its answer is the same for both."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Endpoint:
    """An address and a model. The connection is made at the first request and kept.

    ``timeout``: seconds for a whole request and its answer.
    """

    def __init__(self, url: str, model: str, *, key: Secret | None, timeout: float) -> None:
        # Checked here: the HTTP library would quote a header that it cannot send.
        if key is not None and not _HEADER.fullmatch(key.reveal()):
            raise EmbeddingRefused("the API key is empty or has characters that a key cannot have")
        parts = urlsplit(url)
        self._shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self._url = url
        self._key = key
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self.model = model

    def __str__(self) -> str:
        return f"the endpoint {self._shown}"

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def ask(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """The vectors of the texts, in their order. Raises Busy, Unacceptable or EmbeddingRefused."""
        import httpx

        try:
            status, headers, body = self._send(texts)
        except httpx.TimeoutException as error:
            raise Busy(f"{self} did not answer within {self._timeout:g} s") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            words = self._words(str(error)) or type(error).__name__
            raise Busy(f"{self} cannot be reached: {words}") from error
        if status == 200:
            return self._vectors(body, len(texts))
        raise self._failure(status, headers, body)

    def _send(self, texts: Sequence[str]) -> tuple[int, httpx.Headers, bytes]:
        deadline = time.monotonic() + self._timeout
        question = {"model": self.model, "input": list(texts)}
        body = bytearray()
        with self._connected().stream("POST", self._url, json=question, headers=self._headers()) as response:
            for chunk in response.iter_bytes():
                body += chunk
                # The library's timeout is for one read; an answer may also come a byte at a time.
                if time.monotonic() > deadline:
                    raise Busy(f"{self} did not end its answer within {self._timeout:g} s")
                if len(body) > _LARGEST:
                    raise EmbeddingRefused(f"{self} answers with more than {_LARGEST >> 20} MB")
            return response.status_code, response.headers, bytes(body)

    def _connected(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._client is None:
                timeout = httpx.Timeout(self._timeout, connect=min(_CONNECT, self._timeout))
                # No redirects: the key is for this address.
                self._client = httpx.Client(timeout=timeout, follow_redirects=False)
            return self._client

    def _headers(self) -> dict[str, str]:
        return {} if self._key is None else {"Authorization": f"Bearer {self._key.reveal()}"}

    def _failure(self, status: int, headers: httpx.Headers, body: bytes) -> Exception:
        code, words = _error_of(body)
        reason = f"{self} answers {status}"
        if words := self._words(words):
            reason = f"{reason}: {words}"
        if status in _BAD_TEXT:
            return Unacceptable(reason)
        # A quota that is used up comes as 429, too, and does not come back by waiting.
        if status >= 500 or (status in _LATER and code != "insufficient_quota"):
            return Busy(reason, _retry_after(headers.get("retry-after")))
        if status in (401, 403):
            hint = "check the key that apiKey refers to" if self._key else "name a key with apiKey"
            return EmbeddingRefused(reason, hint=hint)
        return EmbeddingRefused(reason)

    def _vectors(self, body: bytes, count: int) -> list[Sequence[float]]:
        try:
            items = json.loads(body)["data"]
            numbered = [(int(item.get("index", at)), item["embedding"]) for at, item in enumerate(items)]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise EmbeddingRefused(f"{self} does not answer as an embeddings API does") from error
        if len(numbered) != count:
            raise EmbeddingRefused(f"{self} gave {len(numbered)} vectors for {count} texts")
        if sorted(at for at, _ in numbered) != list(range(count)):
            raise EmbeddingRefused(f"{self} gave vectors whose indexes are not those of the texts")
        return [_numbers(vector) for _, vector in sorted(numbered, key=lambda pair: pair[0])]

    def _words(self, text: str) -> str:
        """What others say, safe to show: one short line, without the key."""
        line = " ".join("".join(c if c.isprintable() else " " for c in text[: 10 * _TOLD]).split())
        line = self._key.scrub(line) if self._key else line
        return line if len(line) <= _TOLD else line[:_TOLD] + "…"


def _numbers(vector: object) -> Sequence[float]:
    """A list as it is; base64 of packed little-endian float32, which some endpoints always send."""
    if isinstance(vector, str):
        try:
            packed = base64.b64decode(vector, validate=True)
        except binascii.Error:
            raise EmbeddingRefused("a vector is neither a list of numbers nor base64") from None
        numbers = array("f")
        numbers.frombytes(packed[: len(packed) // 4 * 4])
        return numbers.tolist()
    if not isinstance(vector, list):
        raise EmbeddingRefused("a vector is neither a list of numbers nor base64")
    return vector


def _error_of(body: bytes) -> tuple[str, str]:
    """(code, message) of an error's body, which is OpenAI's form or any text."""
    text = body[:10_000].decode("utf-8", "replace")
    try:
        error = json.loads(body)["error"]
        return (str(error.get("code") or ""), str(error.get("message") or "")) if error else ("", text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "", text


def _retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3), in either of its forms."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
