"""Python functions that a plan names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from executor.contract import FordwayError
from executor.transform.closure import Transform, compile_transform
from executor.transform.functions import fingerprint, load_function
from executor.transform.rejection import Rejected

SOURCE = '''
import dataclasses

@dataclasses.dataclass
class Name:
    text: str

def clean(document):
    """Every way in which a function can end."""
    match document.get("do"):
        case "filter":
            return None
        case "new":
            return {"_id": document["_id"], "name": Name("x").text}
        case "text":
            return "text"
        case "raise":
            raise ValueError("no good\\nand more")
        case "stop":
            raise KeyboardInterrupt
        case "memory":
            raise MemoryError
    document["seen"] = True
    return document

LIMIT = 5
'''


@pytest.fixture
def transform(tmp_path: Path) -> Transform:
    """A transform with one Python step."""
    (tmp_path / "functions.py").write_text(SOURCE)
    return compile_transform({"steps": [{"python": "./functions.py:clean"}]}, base=tmp_path)


def test_results(transform: Transform) -> None:
    """A dict is the new document, None filters it out."""
    assert transform({"_id": 1}) == {"_id": 1, "seen": True}
    assert transform({"_id": 1, "do": "new"}) == {"_id": 1, "name": "x"}
    assert transform({"_id": 1, "do": "filter"}) is None


@pytest.mark.parametrize(
    ("do", "told"),
    [
        ("text", "python: clean returned a str, not a document"),
        ("raise", "python: clean: ValueError: no good"),
    ],
)
def test_rejected(transform: Transform, do: str, told: str) -> None:
    """An exception or a result of another type rejects the document, in one line."""
    with pytest.raises(Rejected) as caught:
        transform({"_id": 1, "do": do})
    assert caught.value.reason == told


@pytest.mark.parametrize(("do", "error"), [("stop", KeyboardInterrupt), ("memory", MemoryError)])
def test_not_the_documents_fault(transform: Transform, do: str, error: type[BaseException]) -> None:
    """What is not about the document goes on upwards."""
    with pytest.raises(error):
        transform({"_id": 1, "do": do})


def test_private(transform: Transform) -> None:
    """The file is no module that anybody could import by its name."""
    assert transform({"_id": 1})
    assert "functions" not in sys.modules


def test_two_files_of_one_name(tmp_path: Path) -> None:
    """Files of one name in two folders are two modules, and so are two versions of one file."""
    loaded: list[Callable[..., object]] = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "f.py").write_text(f"def f(d): return {number}")
        loaded.append(load_function("./f.py:f", folder))
    (tmp_path / "2" / "f.py").write_text("def f(d): return 3")
    loaded.append(load_function("./f.py:f", tmp_path / "2"))
    assert [function({}) for function in loaded] == [1, 2, 3]


def test_fingerprint(tmp_path: Path) -> None:
    """The fingerprint changes with the file and not with the folder."""
    found = []
    for folder, source in (("a", "def f(d): ..."), ("b", "def f(d): ..."), ("c", "def f(d): return d")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "f.py").write_text(source)
        found.append(fingerprint("./f.py:f", tmp_path / folder))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("source", "reference", "told"),
    [
        (None, "./f.py:f", "f.py cannot be read"),
        ("def f(:", "./f.py:f", "f.py:1 fails: SyntaxError"),
        ("x = 1\nimport none_such_module", "./f.py:f", "f.py:2 fails: ModuleNotFoundError"),
        ("def g(d): ...", "./f.py:f", "f.py has no function 'f'"),
        ("f = 5", "./f.py:f", "f.py has no function 'f'"),
        ("", "./f.py", "does not name a Python function"),
        ("", "./f.sh:f", "does not name a Python function"),
        ("\0", "./f.py:f", "fails"),
    ],
)
def test_not_loadable(tmp_path: Path, source: str | None, reference: str, told: str) -> None:
    """A function that is not there, or a file that fails, is told before any document is read."""
    if source is not None:
        (tmp_path / "f.py").write_text(source)
    with pytest.raises(FordwayError, match=told):
        load_function(reference, tmp_path)
