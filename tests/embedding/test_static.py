"""The static model, as it comes in its wheel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.embedding.port import Embedder, open_embedder

ROOT = Path(__file__).parents[2]

REFERENCE = """
import sys, json, warnings
from pathlib import Path
import wordllama
from safetensors import safe_open
from tokenizers import Tokenizer
from wordllama.inference import WordLlamaInference
folder = Path(wordllama.__file__).parent
tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
with safe_open(str(folder / "weights" / "l2_supercat_256.safetensors"), "np") as file:
    model = WordLlamaInference(file.get_tensor("embedding.weight"), tokenizer)
json.dump(model.embed(json.load(sys.stdin), norm=True).tolist(), sys.stdout)
"""


@pytest.fixture(scope="module")
def static() -> Embedder:
    """The model, opened once."""
    return open_embedder({"provider": "static"}, base=Path(), dimension=256)


def test_identity(static: Embedder) -> None:
    """The fingerprint names model, dimension and version."""
    assert static.fingerprint == "static/wordllama-l2_supercat-256@0.4.0.post1"
    assert (static.dimension, static.from_documents) == (256, False)


def test_the_packages_own_vectors(static: Embedder) -> None:
    """The vectors are those that the package's own class makes of the same texts."""
    import json

    texts = [
        "a note",
        "Ein Satz mit Umlauten: äöü",
        "漢字かな",
        "🙂",
        "x" * 300,
        "one\ntwo\tthree",
        " padded ",
        "word " * 500,
    ]
    done = subprocess.run(
        [sys.executable, "-c", REFERENCE], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    expected = np.array(json.loads(done.stdout), dtype=np.float32)
    np.testing.assert_allclose(static.embed(texts).vectors, expected, atol=1e-6)


def test_blank(static: Embedder) -> None:
    """A blank text has no vector and is told; the others of its batch have theirs."""
    result = static.embed(["", "word", " \n\t"])
    assert result.unusable == {0: "the text is empty", 2: "the text is empty"}
    assert np.isnan(result.vectors[[0, 2]]).all()
    np.testing.assert_allclose(np.linalg.norm(result.vectors[1]), 1, rtol=1e-6)


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=8))
def test_any_text(static: Embedder, texts: list[str]) -> None:
    """Every text has a vector of unit length or a reason, and the same whatever else is in its batch."""
    result = static.embed(texts)
    assert result.vectors.shape == (len(texts), 256)
    for at, text in enumerate(texts):
        if at in result.unusable:
            assert np.isnan(result.vectors[at]).all()
        else:
            np.testing.assert_allclose(np.linalg.norm(result.vectors[at]), 1, rtol=1e-5)
            assert (static.embed([text]).vectors[0] == result.vectors[at]).all()


def test_meaning(static: Embedder) -> None:
    """Texts of one meaning are nearer to each other than to one of another."""
    cat, kitten, tax = static.embed(["a cat that sleeps", "a sleeping kitten", "income tax return"]).vectors
    assert cat @ kitten > 2 * (cat @ tax)


def test_long_text(static: Embedder) -> None:
    """A text of megabytes has the vector of its parts' mean, in the memory of a small one."""
    [short] = static.embed(["one two three four " * 10]).vectors
    [long] = static.embed(["one two three four " * 100_000]).vectors
    assert short @ long > 0.999


def test_missing_package() -> None:
    """Without the package the user is told what to install."""
    code = (
        "import sys; sys.modules['wordllama'] = None\n"
        "from pathlib import Path\n"
        "from executor.contract import FordwayError\n"
        "from executor.embedding.port import open_embedder\n"
        "try:\n    open_embedder({'provider': 'static'}, base=Path())\n"
        "except FordwayError as error:\n    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("pip install 'fordway[static]'\n", "")
