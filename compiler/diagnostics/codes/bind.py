"""Codes of bind: variables and their values."""

from __future__ import annotations

from compiler.diagnostics.codes.entry import Code

CODES = (
    Code(
        "variable-type",
        "error",
        "A variable's value has the wrong type",
        """
The value from the command line, the environment or the default does not read as the variable's
declared type. Without a declared type the default's own type counts.
""",
    ),
    Code(
        "variable-syntax",
        "error",
        "A variable reference is malformed",
        """
A reference is written ${name}; names consist of letters, digits, '_' and '-' and start with a letter or
'_'. References are replaced in values, not in keys and not in the defaults of variables. For the two
characters '${' themselves write '$${'.
""",
    ),
    Code(
        "unknown-variable",
        "error",
        "A variable is not declared",
        """
${name} stands for a variable of the plan's 'variables' section; other files of the plan use the same
variables. For the text '${' itself write '$${'.
""",
    ),
    Code(
        "unset-variable",
        "error",
        "A variable has no value",
        """
The variable has no default, and neither --var nor its environment variable gave it a value.
""",
    ),
    Code(
        "unknown-override",
        "error",
        "A value is given for a variable that the plan does not declare",
        """
--var NAME=VALUE sets a variable of the plan's 'variables' section.
""",
    ),
    Code(
        "unused-variable",
        "warning",
        "A variable is never used",
        """
No string of the plan, its rollback strategy or its transforms refers to the variable. Remove it, or
look for a misspelt reference.
""",
    ),
)
