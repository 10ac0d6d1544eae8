"""One line of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Code:
    """A diagnostic's constant part. ``explanation`` is what ``plan explain CODE`` prints."""

    code: str
    severity: Literal["error", "warning"]
    summary: str
    explanation: str
