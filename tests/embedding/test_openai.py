"""The embeddings API, spoken with a real local server that misbehaves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import numpy as np
import pytest

from compiler.model.plan import Json
from executor.contract import FordwayError
from executor.embedding.endpoint import Endpoint
from executor.embedding.openai import OpenAIEmbedder
from executor.embedding.port import EmbeddingRefused, EmbeddingUnavailable, open_embedder
from executor.secrets import Secret
from tests.embedding.endpoint_server import (
    KEY,
    Behaviour,
    Server,
    backwards,
    cut,
    drip,
    hang,
    in_base64,
    refusing,
    reset,
    serving,
    status,
    vector_of,
    well,
    with_body,
    with_data,
)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that behaves."""
    with serving() as opened:
        yield opened


class Sleeper:
    """Time that passes as soon as it is asked to, and is written down."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


class Opener:
    """Opens embedders for the server, and closes them in the end."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.opened: list[OpenAIEmbedder] = []

    def __call__(
        self, *, url: str = "", sleep: Callable[[float], None] | None = None, timeout: float = 30
    ) -> OpenAIEmbedder:
        endpoint = Endpoint(url or self._server.url + "/embeddings", "m", key=Secret(KEY), timeout=timeout)
        self.opened.append(OpenAIEmbedder(endpoint, dimension=3, sleep=sleep or Sleeper()))
        return self.opened[-1]


@pytest.fixture
def embedder(server: Server) -> Iterator[Opener]:
    """What opens embedders for the server."""
    opener = Opener(server)
    yield opener
    for opened in opener.opened:
        opened.close()


def test_through_the_registry(server: Server, tmp_path: Path) -> None:
    """What a plan says opens an embedder that asks in batches, with the key, and keeps the order."""
    (tmp_path / "key").write_text(KEY + "\n")
    spec: dict[str, Json] = {
        "provider": "openai",
        "baseUrl": server.url + "/",
        "model": "text-embedding-3-small",
        "apiKey": {"fromFile": "key"},
        "batchSize": 2,
        "timeout": 20.0,
    }
    texts = ["one", "two two", "three"]
    with closing(open_embedder(spec, base=tmp_path, dimension=3)) as opened:
        result = opened.embed(texts)
    assert opened.fingerprint == "openai/text-embedding-3-small-3"
    assert not opened.from_documents
    assert result.vectors.dtype == np.float32
    assert result.vectors.tolist() == [vector_of(text) for text in texts]
    assert server.requests == [
        ("/v1/embeddings", f"Bearer {KEY}", {"model": "text-embedding-3-small", "input": texts[:2]}),
        ("/v1/embeddings", f"Bearer {KEY}", {"model": "text-embedding-3-small", "input": texts[2:]}),
    ]


@pytest.mark.parametrize("behaviour", [backwards, in_base64])
def test_other_spellings(server: Server, embedder: Opener, behaviour: Behaviour) -> None:
    """Vectors in another order, with their index, and vectors in base64 are understood."""
    server.behaviours = [behaviour]
    assert embedder().embed(["a", "bb", "ccc"]).vectors.tolist() == [[1, 97, 1], [2, 98, 1], [3, 99, 1]]


def test_without_a_key(server: Server) -> None:
    """An endpoint that wants no key gets none."""
    spec: dict[str, Json] = {"provider": "openai", "baseUrl": server.url, "model": "m", "dimension": 3}
    with closing(open_embedder(spec, base=Path())) as opened:
        assert opened.embed(["a"]).unusable == {}
    assert server.requests[0][1] is None


def test_blank_texts_are_not_sent(server: Server, embedder: Opener) -> None:
    """A blank text is not embeddable, and costs no request."""
    result = embedder().embed(["", "x", " \n"])
    assert result.unusable == {0: "the text is empty", 2: "the text is empty"}
    assert np.isnan(result.vectors[[0, 2]]).all()
    assert server.requests[0][2]["input"] == ["x"]
    assert embedder().embed([" "]).vectors.shape == (1, 3)
    assert embedder().embed([]).vectors.shape == (0, 3)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [status(429), status(500), status(503), status(408), reset, cut],
    ids=["429", "500", "503", "408", "reset", "cut"],
)
def test_transient(server: Server, embedder: Opener, behaviour: Behaviour) -> None:
    """What may pass by itself is asked again, with growing pauses."""
    server.behaviours = [behaviour, behaviour]
    sleeper = Sleeper()
    assert embedder(sleep=sleeper).embed(["a"]).vectors.tolist() == [[1, 97, 1]]
    assert sleeper.waits == [0.5, 1.0]


def test_retry_after(server: Server, embedder: Opener) -> None:
    """The server's own wish to be left alone for a while is honoured, in both of its spellings."""
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.behaviours = [
        status(429, Retry_After="7"),
        status(503, Retry_After=moment),
        status(429, Retry_After="x"),
    ]
    sleeper = Sleeper()
    embedder(sleep=sleeper).embed(["a"])
    assert sleeper.waits[0] == 7
    assert 20 < sleeper.waits[1] <= 30
    assert sleeper.waits[2] == 2.0


def test_retry_after_too_long(server: Server, embedder: Opener) -> None:
    """A server that wants to be left alone for long is not available: the step's own retries decide."""
    server.behaviours = [status(429, "slow down", Retry_After="3600")]
    sleeper = Sleeper()
    with pytest.raises(EmbeddingUnavailable, match=r"answers 429: slow down, which asks to wait 3600 s"):
        embedder(sleep=sleeper).embed(["a"])
    assert sleeper.waits == []


def test_attempts_are_bounded(server: Server, embedder: Opener) -> None:
    """A server that stays away is a transient failure after five attempts."""
    server.always = status(500, "on fire")
    with pytest.raises(EmbeddingUnavailable, match=r"answers 500: on fire \(attempt 5\)") as caught:
        embedder().embed(["a"])
    assert caught.value.transient
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("behaviour", "told"), [(hang, "did not answer within"), (drip, "did not end its answer")]
)
def test_timeout(server: Server, embedder: Opener, behaviour: Behaviour, told: str) -> None:
    """A server that says nothing, or never comes to an end, is not waited for longer than the timeout."""
    server.always = behaviour
    with pytest.raises(EmbeddingUnavailable, match=told):
        embedder(timeout=0.2).embed(["a"])


def test_nobody_there(embedder: Opener) -> None:
    """An address where nobody listens is a transient failure that names the address."""
    with pytest.raises(EmbeddingUnavailable, match=r"http://127\.0\.0\.1:9/v1/embeddings cannot be reached"):
        embedder(url="http://127.0.0.1:9/v1/embeddings").embed(["a"])


@pytest.mark.parametrize("number", [401, 403, 404, 301])
def test_terminal(server: Server, embedder: Opener, number: int) -> None:
    """A wrong key, a wrong address or a redirect (the key is for this address) is final at once."""
    server.always = status(number, "no", Location="http://127.0.0.1:9/")
    with pytest.raises(EmbeddingRefused, match=f"answers {number}: no") as caught:
        embedder().embed(["a"])
    assert not caught.value.transient
    assert len(server.requests) == 1


def test_used_up_quota(server: Server, embedder: Opener) -> None:
    """A quota that is used up comes as 429, but no waiting brings it back."""
    server.always = status(429, "no money", code="insufficient_quota")
    with pytest.raises(EmbeddingRefused, match="no money"):
        embedder().embed(["a"])
    assert len(server.requests) == 1


@pytest.mark.parametrize("number", [400, 413, 422])
def test_refused_text(server: Server, embedder: Opener, number: int) -> None:
    """A text that the endpoint will not take is found by halving, and the others get their vectors."""
    server.always = refusing("poison", number)
    texts = [f"text {i}" for i in range(10)]
    texts[3] = texts[8] = "poison"
    result = embedder().embed(texts)
    assert sorted(result.unusable) == [3, 8]
    assert f"answers {number}: input too long: poison" in result.unusable[3]
    assert np.isnan(result.vectors[[3, 8]]).all()
    assert np.isfinite(np.delete(result.vectors, [3, 8], axis=0)).all()


def test_refused_first_text(server: Server, embedder: Opener) -> None:
    """Even the first text of all may be the bad one: a harmless one proves that the endpoint works."""
    server.always = refusing("poison")
    assert list(embedder().embed(["poison"]).unusable) == [0]


def test_refused_everything(server: Server, embedder: Opener) -> None:
    """An endpoint that refuses everything is a wrong configuration and not a thousand bad texts."""
    server.always = status(400, "unknown model m")
    with pytest.raises(EmbeddingRefused, match="answers 400: unknown model m"):
        embedder().embed(["a"] * 1000)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (with_data([]), "gave 0 vectors for 2 texts"),
        (with_data([{"index": 0, "embedding": [1, 2, 3]}] * 3), "gave 3 vectors for 2 texts"),
        (with_data([{"index": 0, "embedding": [1, 2, 3]}] * 2), "indexes are not those"),
        (with_data([{"index": 5, "embedding": [1, 2, 3]}] * 2), "indexes are not those"),
        (with_data([{"embedding": [1, 2, 3]}, {"embedding": [1, 2]}]), "of 2 dimensions instead of 3"),
        (with_data([{"embedding": [1, 2, "x"]}] * 2), "did not give vectors of numbers"),
        (with_data([{"embedding": 5}] * 2), "neither a list"),
        (with_data([{"embedding": "%%%"}] * 2), "neither a list"),
        (with_data(["x", "y"]), "does not answer as an embeddings API"),
        (with_data(None), "does not answer as an embeddings API"),
        (with_body(b"<html>welcome</html>"), "does not answer as an embeddings API"),
        (with_body(b"[" * 100_000), "does not answer as an embeddings API"),
        (with_body(b""), "does not answer as an embeddings API"),
    ],
)
def test_nonsense(server: Server, embedder: Opener, behaviour: Behaviour, told: str) -> None:
    """An answer that is none is told clearly, and nothing of it is used."""
    server.always = behaviour
    with pytest.raises(EmbeddingRefused, match=told):
        embedder().embed(["a", "b"])


def test_not_finite(server: Server, embedder: Opener) -> None:
    """A vector that is not finite makes its text unusable, and leaves the others."""
    server.always = with_body(
        b'{"data": [{"embedding": [1, NaN, 1]}, {"embedding": [1, 1e300, 1]}, {"embedding": [1, 2, 3]}]}'
    )
    result = embedder().embed(["a", "b", "c"])
    assert sorted(result.unusable) == [0, 1]
    assert result.vectors[2].tolist() == [1, 2, 3]


def test_key_is_never_told(server: Server, embedder: Opener, caplog: pytest.LogCaptureFixture) -> None:
    """The key stands in no message, no log and no representation, even if the endpoint repeats it."""
    caplog.set_level(logging.DEBUG)
    opened = embedder()
    told = [repr(opened), str(opened), repr(vars(opened))]
    for behaviour in (
        status(401, f"Incorrect API key provided: {KEY}"),
        status(400, KEY),
        with_body(KEY.encode()),
    ):
        server.always = behaviour
        with pytest.raises(FordwayError) as caught:
            opened.embed(["a"])
        told += [str(caught.value), repr(caught.value), caught.value.hint]
    server.always = well
    opened.embed(["a"])
    assert all(KEY not in text for text in [*told, caplog.text])
    assert "***" in told[3]


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "ключ"])
def test_impossible_key(key: str) -> None:
    """A key that no header can hold is refused before the HTTP library could quote it."""
    with pytest.raises(EmbeddingRefused) as caught:
        Endpoint("http://127.0.0.1:9/", "m", key=Secret(key), timeout=1)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"model": "m", "dimension": 3}, "needs a baseUrl"),
        ({"baseUrl": "http://x", "dimension": 3}, "a model"),
        ({"baseUrl": "http://x", "model": "m"}, "needs a dimension"),
        ({"baseUrl": "ftp://x", "model": "m", "dimension": 3}, "no address"),
        ({"baseUrl": "http://", "model": "m", "dimension": 3}, "no address"),
        (
            {"baseUrl": "http://x", "model": "m", "dimension": 3, "apiKey": {"fromFile": "none"}},
            "cannot be read",
        ),
        (
            {"baseUrl": "http://x", "model": "m", "dimension": 3, "apiKey": {"fromEnv": "NONE_SUCH"}},
            "NONE_SUCH",
        ),
    ],
)
def test_bad_specification(tmp_path: Path, spec: dict[str, Json], told: str) -> None:
    """What is missing is told when the embedder is opened, before anything is sent."""
    with pytest.raises(FordwayError, match=told):
        open_embedder({"provider": "openai"} | spec, base=tmp_path)
