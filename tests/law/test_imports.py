"""The import law: who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DRIVERS = ("pymongo", "chromadb")
"""Live in executor.stores alone."""
SLOW = (
    "chromadb",
    "pymongo",
    "numpy",
    "networkx",
    "jinja2",
    "yaml",
    "jsonschema",
    "rich",
    "sqlite3",
    "wordllama",
)
"""Too slow to import before they are needed."""


def modules(package: str) -> list[Path]:
    """The package's source files."""
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The full names of what a file imports, lazily or not."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, *packages: str) -> bool:
    """Whether a dotted name lies in one of the packages."""
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("path", modules("compiler"), ids=lambda p: str(p.relative_to(ROOT)))
def test_compiler(path: Path) -> None:
    """The compiler imports neither the executor nor a driver; its model only the standard library."""
    for name in imports(path):
        assert not within(name, "executor", "bson", "numpy", *DRIVERS), name
        if path.is_relative_to(ROOT / "compiler" / "model"):
            top = name.partition(".")[0]
            assert within(name, "compiler.model") or top in sys.stdlib_module_names, name


@pytest.mark.parametrize("path", modules("executor"), ids=lambda p: str(p.relative_to(ROOT)))
def test_executor(path: Path) -> None:
    """The executor imports of the compiler its model, its rollback and its driver alone, and drivers only
    where stores are."""
    for name in imports(path):
        if within(name, "compiler"):
            assert within(name, "compiler.model", "compiler.rollback", "compiler.driver") or name == (
                "compiler.driver"
            ), name
        if within(name, *DRIVERS):
            assert path.is_relative_to(ROOT / "executor" / "stores"), name


def test_help_imports_nothing_slow() -> None:
    """'plan --help' is quick because it imports nothing that it does not need."""
    code = (
        "import sys\nfrom executor.cli.root import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        f"slow = [name for name in {SLOW!r} if name in sys.modules]\n"
        "assert not slow, slow\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
