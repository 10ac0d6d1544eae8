"""Makes the invoices of this example: ``legacy.jsonl.gz`` and ``earlier.jsonl.gz``, beside this script.

    python make_invoices.py

All of it is invented. The legacy invoices are in order up to number 10,000; from there on a change in
the accounting program wrote every eighth total as "n/a". ``earlier`` holds the first 200 invoices as a
migration of last year left them in the new system, with totals that were corrected since.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

RECORDS = 20_000
GOOD = 10_000
EARLIER = 200

FIRST = datetime(2024, 1, 1, 8, tzinfo=UTC)
CUSTOMERS = ("Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Larch", "Maple", "Oak", "Pine", "Rowan")


def cents(number: int) -> int:
    """The total of an invoice in cents: from 5.00 to about 1,000, spread by a multiplication."""
    return 500 + number * 7919 % 99_991


def legacy() -> Iterator[dict[str, object]]:
    """The invoices as the old system has them: totals and dates are text."""
    for number in range(1, RECORDS + 1):
        broken = number > GOOD and number % 8 == 0
        issued = FIRST + timedelta(minutes=40 * number)
        yield {
            "_id": f"INV-{number:05d}",
            "client": {"name": CUSTOMERS[number % len(CUSTOMERS)], "id": 100 + number % len(CUSTOMERS)},
            "total": "n/a" if broken else f"{cents(number) / 100:.2f}",
            "issued": issued.isoformat().replace("+00:00", "Z"),
        }


def earlier() -> Iterator[dict[str, object]]:
    """The invoices that the new system holds before this migration, in MongoDB's extended JSON."""
    for number in range(1, EARLIER + 1):
        issued = FIRST + timedelta(minutes=40 * number)
        yield {
            "_id": f"INV-{number:05d}",
            "customer": CUSTOMERS[number % len(CUSTOMERS)],
            "customerId": 100 + number % len(CUSTOMERS),
            "total": {"$numberDecimal": f"{(cents(number) - 100) / 100:.2f}"},
            "issuedAt": {"$date": issued.isoformat().replace("+00:00", "Z")},
            "batch": "2025",
        }


def write(path: Path, documents: Iterable[dict[str, object]]) -> None:
    """One document a line, compressed, without name and time in the header: always the same bytes."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as file:
        for document in documents:
            file.write(json.dumps(document).encode() + b"\n")


if __name__ == "__main__":
    write(Path(__file__).with_name("legacy.jsonl.gz"), legacy())
    write(Path(__file__).with_name("earlier.jsonl.gz"), earlier())
