"""The registry of providers, and the small ones among them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compiler.model.plan import Json
from executor.contract import FordwayError
from executor.embedding.port import EMBEDDERS, Embedder, EmbeddingRefused, open_embedder
from executor.secrets import Secret, resolve

ROOT = Path(__file__).parents[2]


def function(tmp_path: Path, body: str, dimension: int = 2) -> Embedder:
    """An embedder of a function with that body."""
    (tmp_path / "f.py").write_text(f"import numpy as np\ncalls = []\ndef embed(texts):\n    {body}\n")
    spec: dict[str, Json] = {"provider": "python", "function": "./f.py:embed", "dimension": dimension}
    return open_embedder(spec, base=tmp_path, dimension=dimension)


@pytest.mark.parametrize(
    "body",
    [
        "return [[len(t), 1] for t in texts]",
        "return [(len(t), 1.0) for t in texts]",
        "return np.array([[len(t), 1] for t in texts])",
        "return [np.array([len(t), 1], dtype='f4') for t in texts]",
    ],
)
def test_function(tmp_path: Path, body: str) -> None:
    """A function gives vectors in any form that numpy takes; blank texts it never sees."""
    result = function(tmp_path, "assert all(t.strip() for t in texts); " + body).embed(["a", " ", "ccc"])
    assert result.vectors.dtype == np.float32
    assert result.vectors[[0, 2]].tolist() == [[1, 1], [3, 1]]
    assert result.unusable == {1: "the text is empty"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return [[1, 2]]", "gave 1 vectors for 2 texts"),
        ("return [[1, 2, 3]] * 2", "of 3 dimensions instead of 2"),
        ("return np.zeros((2, 3))", "2 × 3 instead of 2 × 2"),
        ("return np.zeros(4)", "4 instead of 2 × 2"),
        ("return [[1, 'x']] * 2", "did not give vectors of numbers"),
        ("return [[10**400, 1]] * 2", "did not give vectors of numbers"),
        ("return 5", "instead of 2 × 2"),
        ("return None", "instead of 2 × 2"),
        ("return texts", "dimensions instead of 2|did not give"),
        ("raise RuntimeError('out of cheese')", "fails: RuntimeError: out of cheese"),
    ],
)
def test_function_that_fails(tmp_path: Path, body: str, told: str) -> None:
    """A function that gives something else, or fails, stops the step with words that name it."""
    with pytest.raises(EmbeddingRefused, match=told) as caught:
        function(tmp_path, body).embed(["a", "b"])
    assert "f.py:embed" in caught.value.message


def test_function_with_bad_vectors(tmp_path: Path) -> None:
    """A vector that is not finite makes its text unusable, and leaves the others."""
    result = function(tmp_path, "return [[1, 2], [np.nan, 1], [1, 1e300], [1, None]]").embed(
        ["a", "b", "c", "d"]
    )
    assert sorted(result.unusable) == [1, 2, 3]
    assert np.isnan(result.vectors[1:]).all()
    assert result.vectors[0].tolist() == [1, 2]


def test_function_fingerprint(tmp_path: Path) -> None:
    """Another text of the function's file is another fingerprint: its vectors are not the same."""
    one = function(tmp_path, "return []").fingerprint
    two = function(tmp_path, "return [1]").fingerprint
    assert one != two
    assert one.startswith("python/./f.py:embed-2@")


def test_function_that_is_not_there(tmp_path: Path) -> None:
    """A function that is not there is told when the embedder is opened."""
    with pytest.raises(FordwayError, match=r"none\.py cannot be read"):
        open_embedder({"provider": "python", "function": "./none.py:f", "dimension": 2}, base=tmp_path)


def test_source() -> None:
    """Vectors of the documents have a fingerprint and a dimension, and no text is ever embedded."""
    opened = open_embedder({"provider": "source", "field": "vec"}, base=Path(), dimension=8)
    assert (opened.fingerprint, opened.dimension, opened.from_documents) == ("source/vec-8", 8, True)
    with pytest.raises(EmbeddingRefused):
        opened.embed(["a"])


def test_source_without_dimension() -> None:
    """Vectors whose length nobody says cannot be checked, so that is refused."""
    with pytest.raises(EmbeddingRefused, match="need a dimension"):
        open_embedder({"provider": "source", "field": "vec"}, base=Path())


def test_wrong_dimension() -> None:
    """A provider whose vectors do not fit the target is told with both numbers."""
    with pytest.raises(EmbeddingRefused, match="of 256 dimensions, the target wants 384"):
        open_embedder({"provider": "static"}, base=Path(), dimension=384)


@pytest.mark.parametrize("provider", ["magic", None, 5, ["static"]])
def test_unknown_provider(provider: Json) -> None:
    """An unknown provider is told with those that are known."""
    with pytest.raises(EmbeddingRefused) as caught:
        open_embedder({"provider": provider}, base=Path())
    assert all(name in caught.value.hint for name in EMBEDDERS)


def test_opening_loads_no_library() -> None:
    """Opening an embedder, to know its fingerprint, imports none of the heavy libraries."""
    code = (
        "import sys; from pathlib import Path\n"
        "from executor.embedding.port import open_embedder\n"
        "open_embedder({'provider': 'static'}, base=Path())\n"
        "open_embedder({'provider': 'source', 'dimension': 3}, base=Path())\n"
        "spec = {'provider': 'openai', 'baseUrl': 'http://x', 'model': 'm', 'dimension': 3}\n"
        "open_embedder(spec, base=Path())\n"
        "print([name for name in ('numpy', 'httpx', 'wordllama', 'tokenizers') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_secret_shows_itself_to_nobody() -> None:
    """A secret is masked wherever it is shown, and cannot be written to a file."""
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2"
    assert secret.scrub("no hunter2, hunter2") == "no ***, ***"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_resolve(tmp_path: Path) -> None:
    """An option is its own text, or that of the file it refers to."""
    (tmp_path / "key").write_text("k\n")
    assert resolve("plain", base=tmp_path) == "plain"
    assert resolve({"fromFile": "key"}, base=tmp_path) == "k"
    with pytest.raises(FordwayError):
        resolve({"fromFile": "none"}, base=tmp_path)
