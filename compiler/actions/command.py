"""``command``: run a program."""

from __future__ import annotations

from compiler.actions.meaning import Meaning, Scope, rule_of_thumb
from compiler.model.plan import Category, Inverse, Json
from compiler.source.tree import MappingNode

KEYS = ("run", "undo", "probe", "env", "cwd", "shell", "safeWhenAbsent")


def command(node: MappingNode, scope: Scope) -> Meaning | None:
    """See compiler.actions.meaning.Action."""
    params: dict[str, Json] = {
        "run": None,
        "undo": None,
        "probe": None,
        "env": {},
        "cwd": ".",
        "shell": False,
        "safeWhenAbsent": False,
    }
    for key in KEYS:
        written = node.get(key)
        if written is not None:
            params[key] = written.plain()
    shell = params["shell"] is True
    for key in ("run", "undo", "probe"):
        value = params[key]
        if value is not None and isinstance(value, str) != shell:
            scope.report(
                "wrong-type",
                node.value_span(key),
                "a list of arguments was expected" if not shell else "with 'shell: true' a text was expected",
                "Write [program, argument, …]; use 'shell: true' only where a shell is needed."
                if not shell
                else "",
            )
            return None
    inverse = None
    if params["undo"] is not None:
        inverse = Inverse(
            summary=f"run {_shown(params['undo'])}",
            safe_when_absent=params["safeWhenAbsent"] is True,
            probed=params["probe"] is not None,
        )
    return Meaning(
        params=params,
        inverse=inverse,
        category=Category.CONFIGURATION,
        estimate=rule_of_thumb(10.0),
    )


def _shown(value: Json) -> str:
    return " ".join(str(item) for item in value) if isinstance(value, list) else str(value)
