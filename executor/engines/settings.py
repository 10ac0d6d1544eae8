"""How a bulk step works: its ``params``, as types."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from compiler.model.plan import Json, JsonObject, Verdict
from executor.contract import StepFailed
from executor.engines.looking import Existing

COPY_RECORDS = 5000
"""Records a batch where the plan says nothing: small records want many, large ones are bounded by bytes."""
VECTOR_RECORDS = 1000
BATCH_BYTES = 3_000_000
_SHARE = 8
"""A batch may take this part of the memory limit, since several are under way and each is held as source,
target and message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """How many dead letters are too many: ``rate`` per cent of what was read, or ``count``. None: no
    limit of that kind."""

    rate: float | None = None
    count: int | None = None

    def exceeded(self, read: int, dead: int) -> str:
        """In words; empty if it is not."""
        if self.count is not None and dead > self.count:
            return f"{dead} dead letters, and the plan allows {self.count}"
        if self.rate is not None and read and dead * 100 > self.rate * read:
            share = f"{dead * 100 / read:.3g} %"
            return f"{dead} dead letters of {read} records, {share}; the plan allows {self.rate:g} %"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``delay`` is in seconds and doubles; ``memory`` and ``batch_bytes`` are bytes."""

    batch_records: int = VECTOR_RECORDS
    batch_bytes: int = BATCH_BYTES
    writers: int = 2
    workers: int = 1
    retries: int = 3
    delay: float = 1.0
    memory: int = 512_000_000
    existing: Existing = Existing.REPLACE
    threshold: Threshold = Threshold()
    documents: bool = False

    @classmethod
    def of(cls, params: JsonObject, *, vectors: bool) -> Settings:
        """From a step's params. Raises StepFailed."""
        memory = _whole(params, "memoryLimit", 512_000_000)
        delay = _number(params.get("retryDelay"), "retryDelay")
        threshold = params.get("errorThreshold")
        if not isinstance(threshold, Mapping):
            threshold = {}
        return cls(
            batch_records=_whole(params, "batchSize", VECTOR_RECORDS if vectors else COPY_RECORDS),
            batch_bytes=max(1, min(_whole(params, "batchBytes", BATCH_BYTES), memory // _SHARE)),
            writers=_whole(params, "maxConcurrency", 2),
            workers=_whole(params, "workers", os.cpu_count() or 1),
            retries=_whole(params, "maxRetries", 3, least=0),
            delay=1.0 if delay is None else delay,
            memory=memory,
            existing=_existing(params.get("existing")),
            threshold=Threshold(
                rate=_number(threshold.get("rate"), "errorThreshold"),
                count=None if threshold.get("count") is None else _whole(threshold, "count", 0, least=0),
            ),
            documents=params.get("storeDocuments") is True,
        )


def _wrong(name: str, value: Json) -> StepFailed:
    return StepFailed(f"the parameter '{name}' cannot be {value!r}", verdict=Verdict.ABSENT)


def _whole(params: JsonObject, name: str, default: int, *, least: int = 1) -> int:
    value = params.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value) or value < least:
        raise _wrong(name, value)
    return int(value)


def _number(value: Json, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise _wrong(name, value)
    return float(value)


def _existing(value: Json) -> Existing:
    try:
        return Existing(value if isinstance(value, str) else "replace")
    except ValueError:
        raise _wrong("existing", value) from None
