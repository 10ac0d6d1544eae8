"""Codes of validate: the documents against their schemas."""

from __future__ import annotations

from compiler.diagnostics.codes.entry import Code

CODES = (
    Code(
        "unknown-key",
        "error",
        "A key is not known here",
        """
Keys that no part of the system reads are refused, because a misspelt key would otherwise be ignored in
silence. 'plan schema KIND' prints what a document may hold.
""",
    ),
    Code(
        "missing-key",
        "error",
        "A required key is missing",
        """
The mapping cannot be understood without the key that the message names; the hint says what it is for.
""",
    ),
    Code(
        "key-choice",
        "error",
        "Keys exclude or require one another",
        """
Of some keys exactly one must be given, because they say the same thing in different ways; others only
make sense together.
""",
    ),
    Code(
        "wrong-type",
        "error",
        "A value has the wrong type",
        """
The value is, for example, a text where a list is expected. YAML reads '1' as a number, 'true' as a
truth value and '- x' as a list entry; quotes make text of anything. 'yes', 'no', 'on' and 'off' are
text (YAML 1.2): truth values are 'true' and 'false'.
""",
    ),
    Code(
        "unknown-value",
        "error",
        "A value is not one of those allowed",
        """
Only the listed words are understood here; upper and lower case count.
""",
    ),
    Code(
        "bad-format",
        "error",
        "A text does not have the expected form",
        """
Durations are a number and a unit (ms, s, m, h, d): 90s, 1.5h. Sizes are a number and a unit (B, KB, MB,
GB, TB by thousands; KiB, MiB, GiB, TiB by 1,024): 256MB. Ids consist of lower-case letters, digits and
'-'. Collections of a store are written store.collection.
""",
    ),
    Code(
        "out-of-range",
        "error",
        "A number is outside its limits",
        """
The number is smaller or larger than what makes sense here.
""",
    ),
    Code(
        "wrong-length",
        "error",
        "A list, mapping or text has too few or too many parts",
        """
The list, mapping or text is empty or too short, or longer than is allowed here.
""",
    ),
    Code(
        "duplicate-item",
        "error",
        "A list names one thing twice",
        """
The entries of this list must differ from one another.
""",
    ),
    Code(
        "action-kind",
        "error",
        "An action must have exactly one known kind",
        """
An action is a mapping with one key, its kind, which holds the action's own settings:

    action:
      bulk:
        source: legacy.notes
        targets: [documents.content]

Two actions are two tasks, with 'prerequisites' between them where the order matters.
""",
    ),
    Code(
        "operation-kind",
        "error",
        "A transform's step must have exactly one known operation",
        """
Each step of a transform is a mapping with one key, its operation: rename, cast, default, drop, map, filter,
template, require or python. Two operations are two steps, in the order in which they happen.
""",
    ),
    Code(
        "plain-secret",
        "error",
        "A secret is written in plain text",
        """
Plans live in git, and compiled plans are shown to reviewers: a password, token or key must not stand
in them. Write a reference, which is resolved when the plan is applied:

    apiKey: {fromEnv: OPENAI_API_KEY}
    uri: {fromFile: /run/secrets/mongodb-uri}

A variable is no way around it, because the values of variables are part of the compiled plan.
""",
    ),
    Code(
        "bare-number",
        "warning",
        "A quantity is written without its unit",
        """
The number is read in the unit that the field has by tradition, which differs from field to field.
Write the unit: 90s, 30m, 2h, 5d; 256MB, 1GiB.
""",
    ),
)
