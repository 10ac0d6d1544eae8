"""Diagnostics: the one way in which the compiler tells a user about a fault of an input."""

from compiler.diagnostics.codes import CATALOGUE, Code
from compiler.diagnostics.masking import is_secret_name, masked, secrets_in
from compiler.diagnostics.render import explain, render, render_all
from compiler.diagnostics.report import Collector, Diagnostic, Severity, did_you_mean, nearest
from compiler.diagnostics.sources import Sources
from compiler.diagnostics.span import Span

__all__ = [
    "CATALOGUE",
    "Code",
    "Collector",
    "Diagnostic",
    "Severity",
    "Sources",
    "Span",
    "did_you_mean",
    "explain",
    "is_secret_name",
    "masked",
    "nearest",
    "render",
    "render_all",
    "secrets_in",
]
