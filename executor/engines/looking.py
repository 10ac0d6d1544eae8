"""What a careful writer finds in the target before it writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Existing(StrEnum):
    """What to do with a record that is there already and differs."""

    REPLACE = "replace"
    KEEP = "keep"
    FAIL = "fail"


@dataclass(slots=True)
class Look:
    """Places of a batch by what the target holds of them.

    ``new``: nothing. ``changed``: something else, to be replaced. ``equal``: the same, from before.
    ``ours``: the same, written by this very step before it was interrupted. ``kept``: something else,
    which stays. ``refused``: something else, which is an error; place → reason.
    """

    new: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    equal: list[int] = field(default_factory=list)
    ours: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)

    def differs(self, place: int, existing: Existing) -> None:
        """Put a place where the target has another record, as the plan says."""
        if existing is Existing.REPLACE:
            self.changed.append(place)
        elif existing is Existing.KEEP:
            self.kept.append(place)
        else:
            self.refused[place] = "the target has another record with this id (existing: fail)"

    def without(self, places: Iterable[int]) -> None:
        """Take places out of what is to be done."""
        gone = set(places)
        self.new = [place for place in self.new if place not in gone]
        self.changed = [place for place in self.changed if place not in gone]

    @property
    def todo(self) -> list[int]:
        """What is to be written, in order."""
        return sorted([*self.new, *self.changed])
