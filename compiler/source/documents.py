"""The documents of one compile, as the front end hands them on from pass to pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from compiler.diagnostics import Span
from compiler.source.files import FileOutside, locate
from compiler.source.tree import Entry, MappingNode, Scalar

API_VERSION = "plan/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document, or the part of one that stands for it. ``inline``: it is written inside the plan."""

    file: str
    root: MappingNode
    inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A declared variable. ``type`` is ``string``, ``integer``, ``number`` or ``boolean``; ``set`` says
    whether ``value`` counts. ``broken``: its declaration is at fault, which is reported already."""

    name: str
    span: Span
    type: str = "string"
    value: Scalar = None
    set: bool = False
    broken: bool = False
    env: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The plan and everything it includes.

    ``folder`` is the plan's own, as users see it (empty for the current one); every path in any of the
    documents starts from there. ``transforms`` are the transform files by their path as ``locate``
    gives it; inline ones stay in the plan. ``uses`` are the places that refer to a variable. ``inputs``
    maps each file read to ``sha256:<hex>``, by its path from ``folder``.
    """

    plan: Document
    folder: str = ""
    strategy: Document | None = None
    transforms: Mapping[str, Document] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=dict)
    uses: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    def transform(self, reference: str) -> Document | None:
        """The transform file that an action refers to; None if it could not be read."""
        try:
            return self.transforms.get(locate(self.folder, reference))
        except FileOutside:
            return None

    def all(self) -> tuple[Document, ...]:
        """Every document that is a file of its own."""
        strategy = (self.strategy,) if self.strategy is not None and not self.strategy.inline else ()
        return (self.plan, *strategy, *self.transforms.values())


def written_actions(root: MappingNode) -> Iterator[Entry]:
    """Every action in a plan or a strategy, as the entry of its kind (``bulk: {...}``), in the order of the
    file. What is not shaped like one is left out."""
    holders: list[MappingNode] = []
    for phase in root.mappings("phases"):
        holders += [*phase.mappings("tasks"), *phase.mappings("validation")]
    for key in ("successCriteria", "procedures", "dataConsistencyChecks", "validationSteps"):
        holders += root.mappings(key)
    for holder in holders:
        yield from holder.mapping("action") or ()
