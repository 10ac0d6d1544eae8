"""Where a step goes on: its checkpoint's cursor, and what its manifests say beyond that."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from compiler.model.codec import from_json, to_json
from compiler.model.plan import JsonObject
from compiler.model.run import Counts
from executor.contract import Context, StepFailed
from executor.engines.manifest import HASH, KeysEntry, Manifests, RangeEntry, StateEntry, VectorsEntry, split


def cursor_of(resume: bytes, sequence: int, settled: int, counts: Counts) -> JsonObject:
    """A checkpoint's cursor: go on after ``resume``, all batches up to ``sequence`` are done and make
    ``counts``. Manifests newer than ``settled`` may speak of what lies beyond: an attempt that goes over
    the ground of one that was interrupted has done some of it, and may be interrupted itself."""
    return {
        "after": base64.b64encode(resume).decode("ascii"),
        "sequence": sequence,
        "settled": settled,
        "counts": to_json(counts),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where to begin. ``fresh``: what lies beyond ``until`` is certainly not in the target. ``until``: up to
    there manifests of an interrupted attempt speak of effects that may be there or not; ``own`` and
    ``own_ids`` are the hashes and the ids that they announced."""

    fresh: bool
    sequence: int = 0
    settled: int = -1
    after: bytes | None = None
    until: bytes | None = None
    counts: Counts = field(default_factory=Counts)
    own: frozenset[bytes] = frozenset()
    own_ids: frozenset[str] = frozenset()


def find_start(context: Context, logs: Sequence[Manifests], *, fresh: bool) -> Start:
    """Where this attempt begins. ``fresh``: the targets were empty when the step was prepared."""
    done, settled, after, counts = -1, -1, None, Counts()
    if context.checkpoint is not None:
        done, settled, after, counts = _read(context.checkpoint)
    own: set[bytes] = set()
    own_ids: set[str] = set()
    last, furthest, until = done, -1, None
    for manifests in logs:
        for entry in manifests.newer_than(settled):
            last = max(last, entry.sequence)
            match entry:
                case RangeEntry() | KeysEntry():
                    own.update(split(entry.hashes, HASH))
                case VectorsEntry():
                    own_ids.update(entry.ids)
                case StateEntry():
                    continue
            if entry.sequence > furthest:
                furthest, until = entry.sequence, entry.upto
    return Start(
        fresh=fresh,
        sequence=last + 1,
        settled=settled,
        after=after,
        until=until,
        counts=counts,
        own=frozenset(own),
        own_ids=frozenset(own_ids),
    )


def _read(cursor: JsonObject) -> tuple[int, int, bytes | None, Counts]:
    after, sequence, settled = cursor.get("after"), cursor.get("sequence"), cursor.get("settled")
    if not isinstance(after, str) or not isinstance(sequence, int) or not isinstance(settled, int):
        raise StepFailed(f"the checkpoint's cursor cannot be read: {dict(cursor)!r}")
    return sequence, settled, base64.b64decode(after), from_json(Counts, cursor.get("counts", {}))
