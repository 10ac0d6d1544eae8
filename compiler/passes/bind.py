"""Bind: variables get their values and take the places of their references.

Values come from the command line, else from the environment (for variables that name an ``env``), else
from the default. Secrets are no variables: ``{fromEnv: …}`` and ``{fromFile: …}`` stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from compiler.diagnostics import Collector, Span, did_you_mean
from compiler.source.documents import Document, Documents, Variable
from compiler.source.variables import Substitution, declare, parse_value


def bind(
    documents: Documents,
    overrides: Mapping[str, str],
    environment: Mapping[str, str],
    collector: Collector,
) -> Documents:
    """The plan with its variables resolved and replaced. What is included later is bound by
    :func:`bind_document`, and :func:`check_variables` has the last word."""
    declared = documents.plan.root.mapping("variables")
    variables: dict[str, Variable] = {}
    for entry in declared or ():
        variable = declare(entry, collector)
        variables[variable.name] = _given(variable, overrides, environment, collector)
    for name in overrides:
        if name not in variables:
            collector.report(
                "unknown-override",
                None,
                f"--var {name}=…: no variable '{name}' is declared in {documents.plan.file}",
                did_you_mean(name, variables),
            )
    uses: dict[str, list[Span]] = {}
    plan = bind_document(documents.plan, variables, uses, collector)
    return replace(
        documents,
        plan=plan,
        variables=variables,
        uses={name: tuple(spans) for name, spans in uses.items()},
    )


def bind_document(
    document: Document,
    variables: Mapping[str, Variable],
    uses: dict[str, list[Span]],
    collector: Collector,
) -> Document:
    """A document with every reference replaced; the places of the references are added to ``uses``."""
    substitution = Substitution(variables, collector, uses)
    return replace(document, root=substitution.document(document.root, skip="variables"))


def check_variables(documents: Documents, collector: Collector) -> Documents:
    """Report variables without a value and variables that no document uses."""
    for variable in documents.variables.values():
        uses = documents.uses.get(variable.name, ())
        if not uses:
            collector.report(
                "unused-variable", variable.span, f"nothing refers to '${{{variable.name}}}'", "Remove it."
            )
        if not variable.set and not variable.broken:
            sources = "--var" if variable.env is None else f"--var nor the environment's {variable.env}"
            collector.report(
                "unset-variable",
                variable.span,
                f"'{variable.name}' has no default, and {'no' if variable.env is None else 'neither'} "
                f"{sources} gave it a value{_listed(uses)}",
                f"Give it a default, or call with --var {variable.name}=VALUE.",
            )
    return documents


def _given(
    variable: Variable,
    overrides: Mapping[str, str],
    environment: Mapping[str, str],
    collector: Collector,
) -> Variable:
    if variable.broken:
        return variable
    if variable.name in overrides:
        text, source = overrides[variable.name], f"--var {variable.name}"
    elif variable.env is not None and variable.env in environment:
        text, source = environment[variable.env], f"the environment variable {variable.env}"
    else:
        return variable
    try:
        return replace(variable, value=parse_value(text, variable.type), set=True)
    except ValueError as error:
        # The value itself is not shown: the environment may hold secrets.
        collector.report(
            "variable-type",
            variable.span,
            f"{source} does not give '{variable.name}' a value of its type '{variable.type}': {error}",
        )
        return replace(variable, broken=True)


def _listed(uses: tuple[Span, ...]) -> str:
    if not uses:
        return ""
    more = f" and {len(uses) - 3} more" if len(uses) > 3 else ""
    return "; it is used at " + ", ".join(str(span) for span in uses[:3]) + more
