"""Codes of resolve, expand, link, check and undo: well-formed documents that do not make sense."""

from __future__ import annotations

from compiler.diagnostics.codes.entry import Code

CODES = (
    Code(
        "unknown-store",
        "error",
        "A store is not declared",
        """
Places are written store.collection, and every store is declared under 'stores' with its type and its
address.
""",
    ),
    Code(
        "unknown-task",
        "error",
        "A task is not known",
        """
The name is that of no task of this plan. Tasks are named by their 'id'.
""",
    ),
    Code(
        "unknown-prerequisite",
        "error",
        "Unknown prerequisite",
        """
A prerequisite names another task of the plan by its 'id'. The task runs only when all of its
prerequisites have ended well.
""",
    ),
    Code(
        "unknown-phase",
        "error",
        "Unknown phase",
        """
A phase's 'dependencies' name other phases by their 'id'.
""",
    ),
    Code(
        "unknown-procedure",
        "error",
        "Unknown procedure",
        """
A procedure's 'dependencies' name other procedures of the same strategy by their 'name'.
""",
    ),
    Code(
        "duplicate-id",
        "error",
        "An id is declared twice",
        """
Tasks and validations share one space of ids over the whole plan, because the journal, the rollback
graph and other tasks refer to them by id alone.
""",
    ),
    Code(
        "no-action",
        "error",
        "There is nothing to do",
        """
A task has exactly one action, which says what runs. Work that people do by hand is an action too:
'manual: {instructions: …}'.
""",
    ),
    Code(
        "cannot-fail",
        "error",
        "A check could not fail",
        """
A validation that passes whatever happens is worse than none, because it is believed. Give it an action
that compares something with what is expected.
""",
    ),
    Code(
        "cycle",
        "error",
        "The order goes round",
        """
Each of these waits for the one before it, and the first for the last, so that none could ever start.
The message lists the way round with the place of each link.
""",
    ),
    Code(
        "later-phase",
        "error",
        "A prerequisite is in a later phase",
        """
All of a phase ends before a phase that depends on it starts. A task can therefore not wait for a task of
a later phase.
""",
    ),
    Code(
        "same-place",
        "error",
        "Source and target are the same",
        """
A copy of a collection into itself would read what it has just written.
""",
    ),
    Code(
        "store-cannot",
        "error",
        "A store cannot do what is asked of it",
        """
MongoDB stores hold records: they can be read, written, indexed and provisioned with options. ChromaDB
stores hold vectors with ids and flat metadata: they have a metric and a dimension instead of indexes.
""",
    ),
    Code(
        "no-content",
        "error",
        "The text to embed is not known",
        """
A record in a ChromaDB collection is a vector of a text. The 'content' part of a transform says which
field holds the text, and which fields become metadata.
""",
    ),
    Code(
        "ambiguous-filter",
        "error",
        "A filter depends on the order of keys",
        """
{address: {street: x, city: y}} matches only documents whose keys come in that order, and a compiled plan
sorts keys. {address.street: x, address.city: y} says what is meant. Conditions within $and, $or and
$elemMatch with several fields each are written as lists of one-field conditions under $and.
""",
    ),
    Code(
        "bad-template",
        "error",
        "A template cannot be read",
        """
Templates are Jinja: {{ field }} stands for a field of the document, {% if field %} … {% endif %} for a
condition.
""",
    ),
    Code(
        "bad-expression",
        "error",
        "An expression cannot be read",
        """
A filter is a Jinja expression over the document's fields: status == 'live' and uses > 3.
""",
    ),
    Code(
        "bad-function",
        "error",
        "A Python function cannot be used",
        """
A function is named ./file.py:name. The file is read, not run, when the plan is compiled: it must be
Python, and have something of that name at its top level.
""",
    ),
    Code(
        "dimension-mismatch",
        "error",
        "Vectors have the wrong dimension",
        """
The store says one dimension, and what fills it gives vectors of another. The static provider gives 256.
""",
    ),
    Code(
        "no-embedding",
        "error",
        "Where vectors come from is not known",
        """
A ChromaDB store that is written to names its embedding provider: 'static' (a model in a Python package),
'source' (vectors that are in the source), 'python' (a function of yours) or 'openai' (an HTTP endpoint).
""",
    ),
    Code(
        "no-inverse",
        "error",
        "A step has no way back",
        """
Every step either has an inverse, so that a failure later on can be taken back, or says that it is
irreversible and why; reviewers see that first. Data actions have their inverse by themselves. For
'command', 'script' and 'manual' write 'undo', or a procedure in the rollback strategy that 'undoes' the
task.
""",
    ),
    Code(
        "unordered-writes",
        "error",
        "Two steps write one target in no order",
        """
What the target holds in the end would depend on which step is faster, and a rollback could not tell
whose write it takes back.
""",
    ),
    Code(
        "unused-store",
        "warning",
        "A store is not used",
        """
No step reads or writes the store. It is neither opened nor checked.
""",
    ),
    Code(
        "unreachable-procedure",
        "warning",
        "A rollback procedure is never reached",
        """
Procedures run when something has to be taken back, and no step of this plan leaves anything behind.
""",
    ),
    Code(
        "bad-condition",
        "error",
        "A condition cannot be read",
        """
Conditions are comparisons of metrics and numbers, joined by && and ||, negated by !, with + - * / and
parentheses: errorRate > 5 && read >= 100.
""",
    ),
    Code(
        "unknown-metric",
        "error",
        "A metric is not known",
        """
Metrics of the engine: errorRate (per cent of the records read), deadLetters, read, written, unchanged,
filtered (records), throughput (records a second), duration (seconds), memory (MB). 'threshold' is the
trigger's own.
""",
    ),
    Code(
        "no-threshold",
        "error",
        "A trigger has no threshold",
        """
The condition is a number, or uses 'threshold', and the trigger gives none to compare with.
""",
    ),
    Code(
        "no-window",
        "warning",
        "A threshold has no time window",
        """
Without 'timeWindow' a single sample over the threshold fires the trigger. With one, the condition must
hold for the whole of it.
""",
    ),
    Code(
        "not-acted-on",
        "warning",
        "A part of the document is not acted on",
        """
This version accepts the key and does nothing with it.
""",
    ),
    Code(
        "rollback-cycle",
        "error",
        "The way back goes round",
        """
The order in which steps are taken back is the reverse of the plan's. A procedure's 'dependencies',
'order' or 'undoes' contradict it, so that the rollback could not start.
""",
    ),
)
