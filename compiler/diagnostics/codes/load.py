"""Codes of load and include: finding the files and knowing what they are."""

from __future__ import annotations

from compiler.diagnostics.codes.entry import Code

CODES = (
    Code(
        "missing-file",
        "error",
        "A file does not exist",
        """
Paths in a plan start from the folder of the plan file itself, wherever the command is run from.
""",
    ),
    Code(
        "unreadable-file",
        "error",
        "A file cannot be read",
        """
The path exists, but it is a folder, a device or a pipe, or the permissions do not allow reading it.
""",
    ),
    Code(
        "path-outside",
        "error",
        "A path leads out of the project",
        """
A plan may only read files of its own project: the nearest folder above it that holds '.git', else its
own folder. Absolute paths, '..' beyond that folder and symbolic links that lead out are refused, so
that a plan from elsewhere cannot read the machine it is compiled on.
""",
    ),
    Code(
        "wrong-api-version",
        "error",
        "The document's apiVersion is not known",
        """
Every document starts with 'apiVersion: plan/v1'. Another version needs another release of this tool.
""",
    ),
    Code(
        "wrong-kind",
        "error",
        "The document is of another kind",
        """
Every document says what it is in 'kind'. A compile starts from a MigrationPlan; 'rollbackStrategy'
names a RollbackStrategy, and a bulk action's 'transform' a Transform.
""",
    ),
)
