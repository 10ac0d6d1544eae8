"""Where a restore takes its records from: a file of the user's, a backup's folder, a step's backup."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compiler.model.plan import JsonObject, Verdict
from executor.actions import params
from executor.actions.params import Place
from executor.contract import Context, StepFailed
from executor.folders import backup_folder
from executor.stores.files.dump import Entry, Manifest, check_file, read_manifest
from executor.stores.files.records import FileSource

_STEP = "step:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A file of records, and what its backup says of the collection that they were in. ``path`` is None
    where the backup holds none: the collection did not exist then."""

    path: Path | None
    entry: Entry | None = None

    def check(self) -> None:
        """Raises StepFailed (verdict ABSENT) if the file cannot be read, or is not the one that was
        backed up."""
        if self.path is not None and self.entry is not None:
            check_file(self.path.parent, self.entry)
        elif self.path is not None and not self.path.is_file():
            raise StepFailed(f"there is no file {self.path}", verdict=Verdict.ABSENT)

    def source(self, *, vectors: bool, batch_records: int, batch_bytes: int) -> FileSource:
        """The records. Raises StepFailed if there are none."""
        if self.path is None:
            raise StepFailed("there is nothing to restore", verdict=Verdict.ABSENT)
        backed_up = self.entry is not None
        return FileSource(
            self.path,
            batch_records=batch_records,
            batch_bytes=batch_bytes,
            trusted=backed_up,
            # A backup is read in the order of the keys, which another collation does not keep.
            keyed=self.entry is not None and "collation" not in self.entry.options,
            unique=backed_up,
            vectors=vectors,
        )


def origin_of(values: JsonObject, into: Place, context: Context) -> Origin:
    """What a restore's ``from`` means. Raises StepFailed (verdict ABSENT) where it means nothing."""
    written = params.text(values, "from")
    if written.startswith(_STEP):
        return _in_backup(_folder_of_step(written.removeprefix(_STEP), context), into)
    path = context.base / written
    return _in_backup(path, into) if path.is_dir() else Origin(path=path)


def _folder_of_step(step: str, context: Context) -> Path:
    prepared = context.prepared_of(step)
    folder = prepared.get("folder") if prepared is not None else None
    return Path(folder) if isinstance(folder, str) else backup_folder(context.state, context.run, step)


def _in_backup(folder: Path, into: Place) -> Origin:
    manifest = read_manifest(folder)
    if manifest is None:
        raise StepFailed(f"there is no backup in {folder}", verdict=Verdict.ABSENT)
    if not manifest.complete:
        raise StepFailed(f"the backup in {folder} was not finished", verdict=Verdict.ABSENT)
    entry = _entry(manifest, folder, into)
    if entry.view:
        raise StepFailed(f"{entry} was a view when it was backed up in {folder}", verdict=Verdict.ABSENT)
    return Origin(path=folder / entry.file if entry.file else None, entry=entry)


def _entry(manifest: Manifest, folder: Path, into: Place) -> Entry:
    """The collection of that name, or the only one there is."""
    named = manifest.entry(into.store, into.collection)
    if named is not None:
        return named
    if len(manifest.entries) == 1:
        return manifest.entries[0]
    there = ", ".join(str(entry) for entry in manifest.entries) or "nothing"
    raise StepFailed(
        f"the backup in {folder} does not hold {into}",
        hint=f"it holds {there}; name one of its files instead of the folder",
        verdict=Verdict.ABSENT,
    )
