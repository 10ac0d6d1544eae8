"""Templates and conditions over a document's fields, compiled once.

The names in a template are the document's fields; ``document`` is the whole of it, for names that are
no identifiers (``document["first-name"]``). Missing and null are the same: both print as nothing and
equal ``none``, and neither can be calculated with or ordered: that rejects the document. A field comes
before a method of the same name: ``order.items`` is the field, if there is one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from jinja2 import TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.parser import Parser
from jinja2.runtime import Context

from executor.contract import FordwayError
from executor.transform.paths import Document
from executor.transform.plain import Reader, plain_condition, plain_template
from executor.transform.rejection import Rejected, one_line
from executor.transform.sandbox import ENVIRONMENT, instrument, join_output, refill

T = TypeVar("T")
Tree = TypeVar("Tree", bound=nodes.Node)


def compile_template(path: str, source: str) -> Callable[[Document], str]:
    """A closure that renders ``source`` over a document; ``path`` is for messages.

    Raises FordwayError if it does not parse. The closure raises Rejected: a value that cannot be
    calculated with, an access to Python's insides, work or output beyond the limits.
    """
    tree = _parsed(lambda: ENVIRONMENT.parse(source))
    return _guarded(f"template: '{path}'", plain_template(tree) or jinja_template(tree))


def compile_condition(source: str) -> Callable[[Document], bool]:
    """A closure that says whether the expression ``source`` is true of a document.

    Raises FordwayError if it does not parse; the closure raises Rejected as templates do.
    """
    expression = parse_expression(source)
    holds = plain_condition(expression) or jinja_condition(expression)
    return _guarded("filter", lambda document: bool(holds(document)))


def _guarded(where: str, run: Callable[[Document], T]) -> Callable[[Document], T]:
    def guarded(document: Document) -> T:
        try:
            return run(document)
        except MemoryError:  # this process's fault and not the document's
            raise
        except Exception as error:
            raise Rejected(f"{where}: {_told(error)}") from error

    return guarded


def jinja_template(tree: nodes.Template) -> Callable[[Document], str]:
    """The template as Jinja itself runs it."""
    run = _runner(tree)
    return lambda document: join_output(run(document)[1])


def jinja_condition(expression: nodes.Expr) -> Reader:
    """The expression as Jinja itself runs it."""
    target = nodes.Name("result", "store", lineno=1)
    run = _runner(nodes.Template([nodes.Assign(target, expression, lineno=1)], lineno=1))

    def holds(document: Document) -> object:
        context, output = run(document)
        for _ in output:
            pass
        return context.vars["result"]

    return holds


def parse_expression(source: str) -> nodes.Expr:
    """The tree of an expression. Raises FordwayError."""

    def parse() -> nodes.Expr:
        parser = Parser(ENVIRONMENT, source, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateSyntaxError("something follows the expression", parser.stream.current.lineno)
        return expression

    return _parsed(parse)


def _parsed(parse: Callable[[], Tree]) -> Tree:
    try:
        tree = parse()
    except TemplateSyntaxError as error:
        raise FordwayError(f"line {error.lineno}: {error.message}") from error
    for found in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise FordwayError(f"line {found.lineno}: a template cannot load another")
    return tree


def _runner(tree: nodes.Template) -> Callable[[Document], tuple[Context, Iterator[str]]]:
    tree.set_environment(ENVIRONMENT)
    try:
        names = meta.find_undeclared_variables(tree)
        template = ENVIRONMENT.from_string(instrument(tree))
    except TemplateSyntaxError as error:
        raise FordwayError(f"line {error.lineno}: {error.message}") from error
    except (SecurityError, TypeError) as error:
        raise FordwayError(_told(error)) from error
    whole = "document" in names
    render, here = template.root_render_func, _Here()

    def run(document: Document) -> tuple[Context, Iterator[str]]:
        refill()
        context = here.context
        if context is None:
            context = here.context = template.new_context()
        # Used again and again: to make one costs more than most templates take to render.
        context.parent = {**template.globals, **{name: document[name] for name in names if name in document}}
        if whole:
            context.parent.setdefault("document", document)
        context.vars.clear()
        context.exported_vars.clear()
        return context, render(context)

    return run


class _Here(threading.local):
    """A template's context in this thread."""

    context: Context | None = None


def _told(error: Exception) -> str:
    if isinstance(error, (SecurityError, UndefinedError, TemplateSyntaxError)):
        return str(error.message)
    return one_line(error)
