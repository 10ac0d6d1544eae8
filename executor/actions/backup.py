"""The ``backup`` action: collections as files in a folder, with a manifest that says what they are.

MongoDB collections become concatenated BSON, ChromaDB collections one JSON object a line; both
compressed. A collection is read in the order of its keys while others may write to it: a backup is as
consistent as a dump of a running server is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from compiler.model.plan import Json, JsonObject, Step, Verdict
from compiler.model.run import Counts
from executor.actions import params
from executor.contract import Context, Outcome, StepFailed
from executor.folders import backup_folder
from executor.stores.files.dump import (
    FORMAT,
    MANIFEST,
    Compressed,
    Entry,
    Manifest,
    Written,
    file_name,
    read_manifest,
    told,
    write_manifest,
)
from executor.stores.files.vectors import lines_of
from executor.stores.port import RecordStore, VectorStore


class BackupRunner:
    """Writes each source to its file and the manifest last. What it wrote is kept when the run is taken
    back."""

    def prepare(self, step: Step, context: Context) -> JsonObject:
        """Where the backup goes. Raises StepFailed if something that is not ours lies there."""
        folder = _folder(step, context)
        _own_manifest(folder, step, context)
        return {"folder": str(folder)}

    def run(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        folder = _folder(step, context)
        manifest = _own_manifest(folder, step, context)
        if manifest.complete:
            return _outcome(folder, manifest)
        with told(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_manifest(folder, manifest)
        for value in params.mappings(step.params, "sources"):
            place = params.place_of(value)
            if manifest.entry(place.store, place.collection) is None:
                before = sum((counts_of(entry) for entry in manifest.entries), Counts())
                entry = _dump(place, folder, context, before)
                manifest = replace(manifest, entries=(*manifest.entries, entry))
                write_manifest(folder, manifest)
        manifest = replace(manifest, complete=True)
        write_manifest(folder, manifest)
        return _outcome(folder, manifest)

    def probe(self, step: Step, context: Context, prepared: JsonObject) -> Verdict:  # noqa: ARG002
        folder = _folder(step, context)
        manifest = read_manifest(folder)
        if manifest is None or not manifest.of(context.run, step.id):
            return Verdict.ABSENT
        return Verdict.APPLIED if manifest.complete else Verdict.RESUMABLE

    def undo(self, step: Step, context: Context, prepared: JsonObject) -> Outcome:  # noqa: ARG002
        return Outcome()


def counts_of(entry: Entry) -> Counts:
    """What an entry holds, as a step's counts."""
    return Counts(read=entry.count, written=entry.count, bytes=entry.bytes)


def _folder(step: Step, context: Context) -> Path:
    to = step.params.get("to")
    if isinstance(to, str):
        return (context.base / to).absolute()
    return backup_folder(context.state, context.run, step.id).absolute()


def _own_manifest(folder: Path, step: Step, context: Context) -> Manifest:
    """This step's manifest so far. Raises StepFailed if the folder holds anything else: a backup never
    takes the place of another, which may be the only good one."""
    manifest = read_manifest(folder)
    if manifest is not None:
        if not manifest.of(context.run, step.id):
            raise StepFailed(
                f"{folder} holds the backup of step '{manifest.step}' of run {manifest.run}",
                hint="move it away, or leave 'to' out: every run then has a folder of its own",
                verdict=Verdict.ABSENT,
            )
        return manifest
    try:
        # What a crash before the first manifest leaves is its unfinished file alone.
        foreign = [path for path in folder.iterdir() if path.name != MANIFEST + ".partial"]
    except FileNotFoundError:
        foreign = []
    except OSError as error:
        raise StepFailed(f"{folder} cannot be used: {error.strerror}", verdict=Verdict.ABSENT) from error
    if foreign:
        raise StepFailed(
            f"{folder} is not empty (it holds {sorted(foreign)[0].name}); a backup needs a folder of its own",
            verdict=Verdict.ABSENT,
        )
    return Manifest(format=FORMAT, run=context.run, step=step.id)


def _outcome(folder: Path, manifest: Manifest) -> Outcome:
    collections: list[Json] = [
        {"collection": str(entry), "exists": entry.exists, "count": entry.count, "file": entry.file}
        for entry in manifest.entries
    ]
    counts = sum((counts_of(entry) for entry in manifest.entries), Counts())
    return Outcome(result={"folder": str(folder), "collections": collections}, counts=counts)


def _dump(place: params.Place, folder: Path, context: Context, before: Counts) -> Entry:
    """Write one collection's file; its entry."""
    store = context.stores.open(place.store)
    kind = context.stores.spec(place.store).type
    if isinstance(store, RecordStore):
        facts = store.facts(place.collection)
        suffix, pieces = ".bson.gz", _records(store, place.collection)
    elif isinstance(store, VectorStore):
        facts = store.facts(place.collection)
        suffix, pieces = ".vectors.jsonl.gz", _vectors(store, place.collection)
    else:
        raise StepFailed(f"store '{place.store}' has nothing to back up", verdict=Verdict.ABSENT)
    entry = Entry(
        store=place.store,
        collection=place.collection,
        type=kind,
        exists=facts.exists,
        view=facts.view,
        options=facts.options,
        indexes=facts.indexes,
        metric=facts.metric,
        dimension=facts.dimension,
        embedding=facts.embedding,
    )
    if not facts.exists or facts.view:
        return entry
    file = file_name(place.store, place.collection, suffix)
    count, written = _write(folder / file, pieces, lambda counts: context.progress(before + counts), context)
    return replace(entry, file=file, count=count, bytes=written.bytes, sha256=written.sha256)


def _write(
    path: Path, pieces: Iterator[tuple[int, bytes]], progress: Callable[[Counts], None], context: Context
) -> tuple[int, Written]:
    """Write all pieces (of so many records each) to a compressed file."""
    file = Compressed(path)
    count = size = 0
    try:
        for records, data in pieces:
            context.proceed()
            file.add(data)
            count += records
            size += len(data)
            progress(Counts(read=count, written=count, bytes=size))
        return count, file.finish()
    except BaseException:
        file.discard()
        raise


def _records(store: RecordStore, collection: str) -> Iterator[tuple[int, bytes]]:
    for batch in store.source(collection).read(None):
        yield len(batch.records), b"".join(batch.records)


def _vectors(store: VectorStore, collection: str) -> Iterator[tuple[int, bytes]]:
    for records in store.scan(collection):
        yield len(records.ids), lines_of(records)
