"""Check: what is well-formed and still wrong. One function a question."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable

from compiler.actions.meaning import same_place
from compiler.compilation import Compilation
from compiler.diagnostics import did_you_mean
from compiler.model.plan import Step, Verb
from compiler.source.tree import MappingNode

STATIC_DIMENSION = 256
"""What the static provider's model gives."""


def check(compilation: Compilation) -> Compilation:
    """The same compilation; what is wrong with its meaning is reported."""
    for question in QUESTIONS:
        question(compilation)
    return compilation


def _inverses(compilation: Compilation) -> None:
    """Every step can be taken back, or says why not."""
    replaced = {step for item in compilation.rollback.procedures for step in item.undoes}
    for draft in compilation.drafts:
        if draft.meaning is None or "irreversible" in draft.node or draft.id in replaced:
            continue
        if draft.meaning.inverse is None:
            compilation.collector.report(
                "no-inverse",
                draft.span,
                f"the {draft.kind} step '{draft.id}' has no way back",
                "Add 'undo' to its action, a rollback procedure with 'undoes: "
                f"[{draft.id}]', or say 'irreversible: <reason>'.",
            )


def _unordered_writes(compilation: Compilation) -> None:
    """No two steps write one target without an order between them."""
    if not compilation.edges:
        return
    writers: dict[str, list[Step]] = defaultdict(list)
    for step in compilation.steps:
        for place in {same_place(compilation.stores, item) for item in step.writes}:
            writers[place].append(step)
    after: dict[str, list[str]] = defaultdict(list)
    for edge in compilation.edges:
        after[edge.before].append(edge.after)
    for place, steps in sorted(writers.items()):
        for first, second in itertools.pairwise(steps):
            if not _leads_to(first.id, second.id, after) and not set(first.resources) & set(second.resources):
                compilation.collector.report(
                    "unordered-writes",
                    compilation.places[second.id],
                    f"'{first.id}' and '{second.id}' both write '{place}', in no order",
                    f"Add '{first.id}' to the prerequisites of '{second.id}', or the other way round.",
                )


def _leads_to(start: str, goal: str, after: dict[str, list[str]]) -> bool:
    seen, stack = {start}, [start]
    while stack:
        for item in after[stack.pop()]:
            if item == goal:
                return True
            if item not in seen:
                seen.add(item)
                stack.append(item)
    return False


def _unused_stores(compilation: Compilation) -> None:
    """Every store is used."""
    used = {
        place.partition(".")[0]
        for draft in compilation.drafts
        if draft.meaning is not None
        for place in (*draft.meaning.reads, *draft.meaning.writes)
    }
    broken = any(draft.meaning is None for draft in compilation.drafts)
    stores = compilation.documents.plan.root.mapping("stores")
    for entry in stores or ():
        if entry.key not in used and not broken:
            compilation.collector.report(
                "unused-store",
                entry.key_span,
                f"no step reads or writes '{entry.key}'",
                did_you_mean(entry.key, used) if used else "",
            )


def _vector_stores(compilation: Compilation) -> None:
    """Whoever writes vectors says where they come from."""
    for draft in compilation.drafts:
        if draft.kind != "bulk" or draft.meaning is None:
            continue
        vectors = draft.meaning.params.get("vectors")
        if isinstance(vectors, dict) and draft.meaning.params.get("embedding") is None:
            store = str(vectors["store"])
            compilation.collector.report(
                "no-embedding",
                draft.node.key_span("action"),
                f"the chromadb store '{store}' does not say where vectors come from",
                f"Add 'embedding: {{provider: static}}' (or source, python, openai) to the store '{store}'.",
            )


def _dimensions(compilation: Compilation) -> None:
    """A store's dimension is that of the vectors that fill it, as far as that is known."""
    for entry in compilation.documents.plan.root.mapping("stores") or ():
        spec = compilation.stores.get(entry.key)
        embedding = spec.options.get("embedding") if spec is not None else None
        if spec is None or not isinstance(embedding, dict) or not isinstance(entry.value, MappingNode):
            continue
        wanted, given = spec.options.get("dimension"), embedding.get("dimension")
        if embedding.get("provider") == "static":
            given = STATIC_DIMENSION
        if isinstance(wanted, int) and isinstance(given, int) and wanted != given:
            compilation.collector.report(
                "dimension-mismatch",
                entry.value.value_span("dimension"),
                f"'{entry.key}' wants {wanted} dimensions, and its embedding gives {given}",
                f"Write 'dimension: {given}', or choose another provider.",
            )


def _procedures_without_reach(compilation: Compilation) -> None:
    """Every rollback procedure can be reached."""
    strategy = compilation.documents.strategy
    if strategy is None or not compilation.steps:
        return
    touchable = [
        s for s in compilation.steps if s.verb is Verb.RUN and (s.inverse is None or not s.inverse.nothing)
    ]
    if touchable:
        return
    for node in strategy.root.mappings("procedures"):
        compilation.collector.report(
            "unreachable-procedure",
            node.value_span("name"),
            f"no step of the plan leaves anything to take back, so that '{node.text('name')}' never runs",
        )


QUESTIONS: tuple[Callable[[Compilation], None], ...] = (
    _inverses,
    _unordered_writes,
    _unused_stores,
    _vector_stores,
    _dimensions,
    _procedures_without_reach,
)
