"""What an action module sees of the rest of the plan while it resolves one action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.actions.meaning import Meaning, Place
from compiler.actions.registry import ACTIONS
from compiler.analysis.snippets import expression_fault, function_fault, template_fault
from compiler.diagnostics import Collector, Span, did_you_mean
from compiler.model.plan import Json, JsonObject, StoreSpec
from compiler.source.documents import Documents
from compiler.source.files import FileFault, Files, locate, relative
from compiler.source.quantity import DurationUnit, SizeUnit, parse_duration, parse_size
from compiler.source.tree import MappingNode, Node, ScalarNode, SequenceNode

LARGEST_SOURCE = 4_000_000
"""Bytes of a Python file that a plan may name."""


@dataclass(slots=True, kw_only=True)
class PlanScope:
    """All actions of one plan, each resolved once, when it is first asked for."""

    documents: Documents
    files: Files
    collector: Collector
    stores: Mapping[str, StoreSpec]
    actions: Mapping[str, MappingNode | None]
    """The ``action`` mapping of every task by id."""
    inputs: dict[str, str] = field(default_factory=dict)
    _resolved: dict[str, tuple[str, Meaning] | None] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def meaning_of(self, task: str) -> tuple[str, Meaning] | None:
        """Kind and meaning of a task's action; None if there is none or it is broken."""
        if task in self._open or task not in self.actions:
            return None
        if task not in self._resolved:
            self._open.add(task)
            self._resolved[task] = self.resolve(self.actions[task], task)
            self._open.discard(task)
        return self._resolved[task]

    def resolve(self, action: MappingNode | None, owner: str) -> tuple[str, Meaning] | None:
        """Kind and meaning of an ``action`` mapping."""
        if action is None or len(action.entries) != 1:
            return None
        [entry] = action
        if entry.key not in ACTIONS or not isinstance(entry.value, MappingNode):
            return None
        meaning = ACTIONS[entry.key](entry.value, ActionScope(self, owner))
        return (entry.key, meaning) if meaning is not None else None


@dataclass(frozen=True, slots=True)
class ActionScope:
    """A :class:`~compiler.actions.meaning.Scope` for one action."""

    plan: PlanScope
    task: str

    @property
    def stores(self) -> Mapping[str, StoreSpec]:
        return self.plan.stores

    def report(self, code: str, span: Span | None, detail: str, hint: str = "") -> None:
        self.plan.collector.report(code, span, detail, hint)

    def tasks(self) -> list[str]:
        return list(self.plan.actions)

    def meaning_of(self, task: str) -> tuple[str, Meaning] | None:
        return self.plan.meaning_of(task)

    def place(self, node: Node | None) -> Place | None:
        text = _text(node)
        store, _, collection = (text or "").partition(".")
        if node is None or not store or not collection:
            return None  # validation has said so, with the place
        if store not in self.stores:
            self.report(
                "unknown-store",
                node.span,
                f"there is no store '{store[:80]}'",
                did_you_mean(store, self.stores),
            )
            return None
        return Place(store=store, collection=collection)

    def file(self, node: Node | None) -> str | None:
        text = _text(node)
        return self._input(text, node.span) if node is not None and text else None

    def _input(self, reference: str, span: Span) -> str | None:
        folder = self.plan.documents.folder
        try:
            path = locate(folder, reference)
            self.plan.inputs[relative(folder, path)] = self.plan.files.digest(path)
        except FileFault as fault:
            self.report(fault.code, span, str(fault))
            return None
        return relative(folder, path)

    def function(self, node: Node | None) -> str | None:
        path, _, name = (_text(node) or "").rpartition(":")
        if node is None or not path:
            return None  # validation has said so, with the place
        found = self._input(path, node.span)
        if found is None:
            return None
        try:
            source = self.plan.files.read(locate(self.plan.documents.folder, path), LARGEST_SOURCE)
        except FileFault as error:
            self.report(error.code, node.span, str(error))
            return None
        fault = function_fault(source, name)
        if fault is not None:
            message, names = fault
            self.report("bad-function", node.span, f"{found}: {message}", did_you_mean(name, names))
        return f"{found}:{name}"

    def seconds(self, node: Node | None, unit: DurationUnit) -> float | None:
        if node is None:
            return None
        try:
            duration = parse_duration(node.plain(), unit)
        except ValueError:
            return None  # validation has said so, with the place
        if duration.bare:
            self._warn_of_bare(node, unit)
        return duration.seconds

    def size(self, node: Node | None, unit: SizeUnit) -> int | None:
        if node is None:
            return None
        try:
            size = parse_size(node.plain(), unit)
        except ValueError:
            return None  # validation has said so, with the place
        if size.bare:
            self._warn_of_bare(node, unit)
        return size.bytes

    def _warn_of_bare(self, node: Node, unit: str) -> None:
        value = node.plain()
        self.report("bare-number", node.span, f"{value} is read as {value}{unit}", f"Write '{value}{unit}'.")

    def transform(self, node: Node | None) -> JsonObject | None:
        if isinstance(node, MappingNode):
            return self._transform_of(node)
        text = _text(node)
        if text is not None:
            document = self.plan.documents.transform(text)
            return self._transform_of(document.root) if document is not None else None
        return None

    def _transform_of(self, root: MappingNode) -> JsonObject:
        spec: dict[str, Json] = {
            entry.key: entry.value.plain()
            for entry in root
            if entry.key not in ("apiVersion", "kind", "metadata")
        }
        steps = root.get("steps")
        if isinstance(steps, SequenceNode):
            spec["steps"] = [self._operation(item) for item in steps.items]
        return spec

    def _operation(self, node: Node) -> Json:
        if not isinstance(node, MappingNode):
            return node.plain()
        if "python" in node:
            return {"python": self.function(node.get("python"))}
        condition = node.get("filter")
        text = _text(condition)
        if condition is not None and text is not None:
            self._tell("bad-expression", condition.span, expression_fault(text))
        for entry in node.mapping("template") or ():
            text = _text(entry.value)
            if text is not None:
                self._tell("bad-template", entry.value.span, template_fault(text))
        return node.plain()

    def _tell(self, code: str, span: Span, fault: str | None) -> None:
        if fault is not None:
            self.report(code, span, fault)


def _text(node: Node | None) -> str | None:
    """A text that nobody has complained about yet."""
    return node.text if isinstance(node, ScalarNode) else None
