"""The data that the example plans ship: what it holds is what their texts say of it."""

from __future__ import annotations

import gzip
import json
import runpy
from collections import Counter
from pathlib import Path

import bson

PLANS = Path(__file__).parents[2] / "plans"
LEGACY = PLANS / "quickstart/data/legacy.bson.gz"


def fault(note: dict[str, object]) -> str | None:
    """What is wrong with a legacy note, or None; written anew here, not taken from the generator."""
    body = note["body"]
    if not isinstance(body, dict):
        return "null-body"
    if "text" not in body:
        return "no-text"
    if body["text"] == "":
        return "blank-text"
    if not isinstance(body["text"], str):
        return "text-is-a-subdocument"
    if note["created"] == "yesterday":
        return "date-yesterday"
    return None if note["status"] in {"0", "1", "2"} else "unknown-status"


def test_the_legacy_notes_are_as_the_readme_counts_them() -> None:
    """14,968 notes: 454 deleted ones, 62 broken ones (none of both), and 14,452 to move."""
    notes = bson.decode_all(gzip.decompress(LEGACY.read_bytes()))
    broken = Counter(kind for note in notes if (kind := fault(note)))
    deleted = [note for note in notes if note["status"] == "2"]

    assert len(notes) == 14_968
    assert len(deleted) == 454
    assert not any(fault(note) for note in deleted)
    assert broken == {
        "null-body": 11,
        "no-text": 11,
        "blank-text": 13,
        "text-is-a-subdocument": 6,
        "date-yesterday": 12,
        "unknown-status": 9,
    }
    assert len(notes) - len(deleted) - broken.total() == 14_452


def test_the_legacy_notes_are_untidy() -> None:
    """Each shape that the transform has to deal with is there: keys, dates, numbers, missing fields."""
    notes = bson.decode_all(gzip.decompress(LEGACY.read_bytes()))

    assert {type(note["_id"]).__name__ for note in notes} == {"ObjectId", "str", "int", "dict"}
    assert {type(note["created"]).__name__ for note in notes} == {"datetime", "str", "Int64"}
    assert {type(note.get("uses")).__name__ for note in notes} == {"int", "str", "NoneType"}
    for field in ("meta", "uses", "_rev", "tmp"):
        assert 0 < sum(field in note for note in notes) < len(notes)


def test_the_legacy_notes_ship_small_and_with_their_licence() -> None:
    """The dump stays under 3 MB, carries no time of its making, and WordNet's licence lies beside it."""
    data = LEGACY.read_bytes()

    assert len(data) < 3_000_000
    assert data[4:8] == b"\0\0\0\0"
    assert "WordNet 3.1 Copyright 2011 by Princeton University" in (
        LEGACY.with_name("LICENSE.wordnet").read_text("utf-8")
    )


def test_the_invoices_are_what_their_generator_makes(tmp_path: Path) -> None:
    """make_invoices.py gives the shipped files again; the second half has one broken total in eight."""
    data = PLANS / "error-threshold/data"
    generator = runpy.run_path(str(data / "make_invoices.py"))
    for name in ("legacy", "earlier"):
        generator["write"](tmp_path / name, generator[name]())
        made = gzip.decompress((tmp_path / name).read_bytes())
        assert made == gzip.decompress((data / f"{name}.jsonl.gz").read_bytes())

    legacy = [json.loads(line) for line in gzip.decompress((tmp_path / "legacy").read_bytes()).splitlines()]
    broken = [position for position, invoice in enumerate(legacy, 1) if invoice["total"] == "n/a"]
    assert len(legacy) == 20_000
    assert (len(broken), broken[0], broken[-1]) == (1250, 10_008, 20_000)
