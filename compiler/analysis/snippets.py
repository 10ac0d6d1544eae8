"""Templates, expressions and functions that a plan names: whether they can be read at all."""

from __future__ import annotations

import ast


def template_fault(text: str) -> str | None:
    """What is wrong with a Jinja template; None if it parses."""
    from jinja2 import Environment, TemplateSyntaxError

    try:
        Environment().parse(text)
    except TemplateSyntaxError as error:
        return f"line {error.lineno} of it: {error.message}"
    except RecursionError:
        return "it is nested too deeply"
    return None


def expression_fault(text: str) -> str | None:
    """What is wrong with a Jinja expression; None if it parses."""
    from jinja2 import Environment, TemplateSyntaxError

    try:
        Environment().compile_expression(text)
    except TemplateSyntaxError as error:
        hint = " ('==' compares; '=' does not)" if "=" in text.replace("==", "").replace("!=", "") else ""
        return f"{error.message}{hint}"
    except (RecursionError, SyntaxError):
        return "it is nested too deeply"
    return None


def function_fault(source: bytes, name: str) -> tuple[str, list[str]] | None:
    """What is wrong with a Python file that should have a function, and the names that it has; None if it
    has that one. The file is parsed, not run."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return f"it is not Python: line {error.lineno}: {error.msg}", []
    except (ValueError, RecursionError, MemoryError) as error:
        return f"it is not Python: {error}", []
    names = [found for statement in tree.body for found in _names(statement)]
    return None if name in names else (f"it has no function '{name}'", names)


def _names(statement: ast.stmt) -> list[str]:
    """The names that a statement at the top of a file may give a function."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).partition(".")[0] for alias in statement.names]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    found = [target.id for target in targets if isinstance(target, ast.Name)]
    if isinstance(statement, (ast.If, ast.Try)):
        found += [name for inner in statement.body for name in _names(inner)]
    return found
