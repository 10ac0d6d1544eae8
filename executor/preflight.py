"""What must hold before the first write: the plan's files are those it was compiled from, and every
store answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from compiler.model.plan import CompiledPlan, Step, Verb
from executor.contract import Stale
from executor.lease import Claim, LeaseHome
from executor.stores.port import Store
from executor.stores.registry import OpenStores


def moved_files(plan: CompiledPlan, base: Path) -> list[str]:
    """The plan's input files, relative to its folder, that are gone or have other bytes now."""
    moved = []
    for name, digest in sorted(plan.inputs.items()):
        try:
            with (base / name).open("rb") as file:
                same = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest() == digest
        except OSError:
            same = False
        if not same:
            moved.append(name)
    return moved


def refuse_moved_files(plan: CompiledPlan, base: Path) -> None:
    """Raises Stale with the list of what moved since the compile."""
    moved = moved_files(plan, base)
    if moved:
        raise Stale(
            "these files have moved since the plan was compiled: " + ", ".join(moved),
            hint="compile again, look at the new plan, and apply that",
        )


def stores_of(steps: Iterable[Step]) -> list[str]:
    """The names of the stores that the steps read or write, sorted."""
    names = {
        place.partition(".")[0]
        for step in steps
        if step.verb is not Verb.BARRIER
        for place in (*step.reads, *step.writes)
        if not place.startswith("file:")
    }
    return sorted(names)


def open_and_ping(stores: OpenStores, names: Iterable[str]) -> None:
    """Every store answers. Raises StoreError for the first that does not."""
    for name in names:
        store = stores.open(name)
        assert isinstance(store, Store)
        store.ping()


def refuse_missing_places(plan: CompiledPlan, stores: OpenStores) -> None:
    """Every collection that a step requires is there, or is written by another step. Raises Stale."""
    written = {place for step in plan.steps for place in step.writes}
    required = {place: step.id for step in plan.steps for place in step.requires if place not in written}
    for place, step in sorted(required.items()):
        name, _, collection = place.partition(".")
        store = stores.open(name)
        assert isinstance(store, Store)
        if not store.exists(collection):
            raise Stale(
                f"step '{step}' reads '{place}', and there is no such collection",
                hint="is it the right store? Create it, even empty, if it is meant to hold nothing",
            )


def claims(plan: CompiledPlan, stores: OpenStores, state: LeaseHome) -> list[Claim]:
    """The leases that a run of this plan needs: one for the plan, one for every target that it writes,
    kept where every writer of that target sees it."""
    wanted = {f"plan:{plan.name}": state}
    for place in sorted({place for step in plan.steps for place in step.writes}):
        name, _, collection = place.partition(".")
        if place.startswith("file:") or not collection:
            wanted[place] = state
            continue
        store = stores.open(name)
        assert isinstance(store, Store)
        wanted[store.lease_target(collection)] = store.lease_home() or state
    return [Claim(home, target) for target, home in wanted.items()]
