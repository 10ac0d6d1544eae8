"""Records of a vector collection as lines of JSON.

A line is ``{"id": …, "vector": base64 of little-endian float32, "metadata": {…}, "document": …}``; what
a record does not have is left out. So the numbers come back as the bits that they were.
"""

from __future__ import annotations

import base64
import json

from executor.stores.port import VectorRecords


def lines_of(records: VectorRecords) -> bytes:
    """One line a record, by sorted id, whatever order they come in."""
    vectors = None if records.vectors is None else records.vectors.astype("<f4", copy=False)
    lines: list[str] = []
    for index, record_id in sorted(enumerate(records.ids), key=lambda pair: pair[1]):
        line: dict[str, object] = {"id": record_id}
        if vectors is not None:
            line["vector"] = base64.b64encode(vectors[index].tobytes()).decode("ascii")
        if records.metadatas and records.metadatas[index] is not None:
            line["metadata"] = records.metadatas[index]
        if records.documents is not None and records.documents[index] is not None:
            line["document"] = records.documents[index]
        lines.append(json.dumps(line, separators=(",", ":")) + "\n")
    return "".join(lines).encode("ascii")
