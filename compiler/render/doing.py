"""What a step does, in one line, from its action's compiled ``params``.

A kind that has no entry here is told by what it reads and writes, so that a new action shows itself
before anybody has found better words for it. Params are read leniently: a picture must also be had of a
plan whose action knows more than this file.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from compiler.model.plan import Category, CompiledPlan, Json, JsonObject, Step, Verb, Verdict
from compiler.render.label import label
from compiler.render.words import duration, listed, number, plain, plural

ARROW = " → "


def does(step: Step, limit: int = 160) -> str:
    """What happens at this node, as one safe line of at most ``limit`` characters."""
    taken = step.undoes or step.id
    if step.verb is Verb.PROBE:
        return label(f"find out whether {taken} had its effect", limit)
    if step.verb is Verb.UNDO:
        how = step.inverse.summary if step.inverse else step.description
        # A node's id mostly names the step that it takes back: "undo:copy-notes".
        told = how if how and taken in step.id else f"take back {taken}" + (f": {how}" if how else "")
        return label(told, limit)
    told = _KINDS[step.kind](step.params) if step.kind in _KINDS else ""
    return label(told or _moved(step) or step.description or step.name or step.kind, limit)


def guarded(step: Step) -> str:
    """The condition of a guarded node: ``only if probe-x found applied``; empty if it has none."""
    if step.guard is None:
        return ""
    found = " or ".join(verdict.value for verdict in step.guard.verdicts)
    return label(f"only if {step.guard.step} found {found}", 160)


def way_back(step: Step, replaced_by: Mapping[str, str]) -> str:
    """How a forward step is taken back. ``replaced_by`` names the procedure of a step that has one."""
    if step.irreversible is not None:
        return "no way back: " + label(step.irreversible, 300)
    if step.id in replaced_by:
        return f"by procedure {label(replaced_by[step.id], 60)}"
    if step.inverse is None:
        return "no inverse"
    summary = label(step.inverse.summary, 160)
    if step.inverse.nothing:
        return summary or "nothing to take back"
    return summary + (" (safe also where it never ran)" if step.inverse.safe_when_absent else "")


def replacements(plan: CompiledPlan) -> Mapping[str, str]:
    """Step id → the procedure that stands in for its own inverse."""
    return {undone: item.step.id for item in plan.rollback.procedures for undone in item.undoes}


def needs_person(step: Step) -> bool:
    """Whether the node waits for a person. A probe of a manual step does not."""
    return step.kind == "manual" and step.verb in (Verb.RUN, Verb.UNDO)


def role(step: Step) -> str:
    """What a node of a rollback is there for: ``undo``, ``probe``, ``person``, ``check`` or
    ``procedure``."""
    if needs_person(step):
        return "person"
    if step.verb in (Verb.PROBE, Verb.UNDO):
        return step.verb.value
    return "check" if step.category is Category.CHECK else "procedure"


def task(step: Step) -> str:
    """The same in a word or two, with the action's kind."""
    kind, what = label(step.kind, 20), role(step)
    if what == "person":
        return "by hand"
    if what == "procedure":
        return f"{step.category.value} procedure, {kind}"
    return f"check, {kind}" if what == "check" else f"{what} of {kind}"


def verdicts(found: tuple[Verdict, ...]) -> str:
    """Verdicts as an arrow's label."""
    return " or ".join(verdict.value for verdict in found)


def _moved(step: Step) -> str:
    if step.reads and step.writes:
        return listed(step.reads) + ARROW + listed(step.writes)
    if step.writes:
        return "write " + listed(step.writes)
    return "read " + listed(step.reads) if step.reads else ""


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _items(value: Json) -> list[Json]:
    if isinstance(value, (list, tuple)):
        return list(value)
    return [] if value is None else [value]


def _place(value: Json) -> str:
    """``store.collection`` of a compiled target, whichever way it is spelled."""
    target = _object(value)
    if "collection" in target:
        return f"{plain(target.get('store'))}.{plain(target['collection'])}"
    return plain(value)


def _places(value: Json, most: int = 4) -> str:
    return listed([_place(item) for item in _items(value)], most)


def _with_options(text: str, *options: str) -> str:
    return "; ".join((text, *(option for option in options if option)))


def _where(params: JsonObject) -> str:
    return f"only where {label(plain(params['where']), 60)}" if params.get("where") else ""


def _existing(params: JsonObject) -> str:
    existing = params.get("existing")
    return f"existing: {plain(existing)}" if existing is not None else ""


def _bulk(params: JsonObject) -> str:
    targets = [_place(params[key]) for key in ("records", "vectors") if params.get(key)]
    text = f"copy {_place(params.get('source'))}{ARROW}{' + '.join(targets)}"
    steps = len(_items(_object(params.get("transform")).get("steps")))
    embedding = _object(params.get("embedding")).get("provider")
    threshold = _object(params.get("errorThreshold"))
    limits = [
        f"{plain(threshold[key])}{unit}"
        for key, unit in (("rate", " %"), ("count", " records"))
        if threshold.get(key) is not None
    ]
    return _with_options(
        text,
        "as they are" if params.get("mode") == "copy" else "",
        f"transformed in {plural(steps, 'step')}" if steps else "",
        f"embedded by {plain(embedding)}" if embedding else "",
        _where(params),
        _existing(params),
        f"at most {' or '.join(limits)} dead" if limits else "",
    )


def _backup(params: JsonObject) -> str:
    to = params.get("to")
    text = f"back up {_places(params.get('sources', params.get('source')))}"
    return text + (f"{ARROW}{plain(to)}" if to else "")


def _restore(params: JsonObject) -> str:
    text = f"restore {plain(params.get('from'))}{ARROW}{_place(params.get('into'))}"
    return _with_options(text, _existing(params))


def _provision(params: JsonObject) -> str:
    made: list[str] = []
    for item in _items(params.get("collections")):
        indexes = len(_items(_object(item).get("indexes")))
        with_indexes = f" with {plural(indexes, 'index', 'indexes')}" if indexes else ""
        made.append(_place(_object(item).get("target")) + with_indexes)
    return f"create {listed(made, 4)}" if made else ""


def _verify(params: JsonObject) -> str:
    if params.get("target") is not None:
        count = _object(params.get("count"))
        wanted = " and ".join(
            f"{word} {number(value)}"
            for key, word in (("equals", "exactly"), ("min", "at least"), ("max", "at most"))
            if isinstance(value := count.get(key), (int, float))
        )
        where = f" where {label(plain(params['where']), 60)}" if params.get("where") else ""
        return f"check that {_place(params['target'])} holds {wanted or 'some'} records{where}"
    bulk = _object(params.get("bulk"))
    of = plain(bulk.get("taskId")) or _place(bulk.get("source"))
    checks = _items(params.get("checks"))
    sample = params.get("sample")
    partial = isinstance(sample, (int, float)) and sample < 100
    return _with_options(
        f"compare what {of} wrote with its source",
        listed([plain(check) for check in checks]) if checks else "",
        f"a sample of {plain(sample)} %" if partial else "",
    )


def _argv(value: Json) -> str:
    """A command as it could be typed; a shell's line stays as it is."""
    return value if isinstance(value, str) else shlex.join(plain(item) for item in _items(value))


def _command(params: JsonObject) -> str:
    return ("in a shell: " if params.get("shell") else "run ") + _argv(params.get("run"))


def _script(params: JsonObject) -> str:
    return "run " + _argv([params.get("path"), *_items(params.get("args"))])


def _manual(params: JsonObject) -> str:
    return plain(params.get("instructions"))


def _health(params: JsonObject) -> str:
    if params.get("store"):
        text = f"wait until store {plain(params['store'])} answers"
    elif params.get("http"):
        text = f"wait until {plain(params['http'])} answers {plain(params.get('status', 200))}"
    elif params.get("tcp"):
        text = f"wait until {plain(params['tcp'])} accepts connections"
    else:
        text = f"wait until this succeeds: {_argv(params.get('command'))}"
    within = params.get("within")
    return text + (f", {duration(within)} at most" if isinstance(within, (int, float)) else "")


_KINDS: Mapping[str, Callable[[JsonObject], str]] = {
    "backup": _backup,
    "bulk": _bulk,
    "command": _command,
    "health": _health,
    "manual": _manual,
    "provision": _provision,
    "restore": _restore,
    "script": _script,
    "verify": _verify,
}
