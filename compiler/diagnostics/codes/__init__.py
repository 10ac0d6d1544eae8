"""Every code that a diagnostic can have, declared once: severity, summary, explanation.

To add a code, add a line to the module of its pass; to add a pass, add its module to ``_MODULES``.
"""

from __future__ import annotations

from collections.abc import Mapping

from compiler.diagnostics.codes import bind, load, meaning, source, validate
from compiler.diagnostics.codes.entry import Code

_MODULES = (source, load, bind, validate, meaning)


def _catalogue() -> Mapping[str, Code]:
    catalogue: dict[str, Code] = {}
    for module in _MODULES:
        for entry in module.CODES:
            if entry.code in catalogue:
                raise ValueError(f"the code '{entry.code}' is declared twice")
            catalogue[entry.code] = entry
    return catalogue


CATALOGUE: Mapping[str, Code] = _catalogue()
"""All codes by name."""

__all__ = ["CATALOGUE", "Code"]
