"""Transforms in several processes: the same results, bounded, and nobody left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import bson
import pytest

from executor.contract import FordwayError, StepTransient
from executor.transform.batch import BatchResult, Mode, Recipe, compile_batch
from executor.transform.pool import TransformPool

ROOT = Path(__file__).parents[2]

FUNCTIONS = """
import os, sys

def where(document):
    if document.get("hang"):
        while True:
            pass
    if document.get("say") and os.getpid() != document["say"]:
        print("said by a worker", flush=True)
    document["pid"] = os.getpid()
    return document
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A recipe whose documents say which process they went through, and can hang it."""
    (tmp_path / "f.py").write_text(FUNCTIONS)
    return Recipe(mode=Mode.DOCUMENTS, transform={"steps": [{"python": "./f.py:where"}]}, base=tmp_path)


def raw(**fields: object) -> list[bytes]:
    """A batch of one document."""
    return [bson.encode({"_id": 1, **fields})]


def pid_of(result: BatchResult) -> int:
    """The process that a batch went through."""
    pid = bson.decode(result.records[0])["pid"]
    assert isinstance(pid, int)
    return pid


def until(happens: Callable[[], bool]) -> None:
    """Wait for something that must happen."""
    for _ in range(6000):
        if happens():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within a minute")


def workers_up(pool: TransformPool) -> list[int]:
    """Use the pool until its processes work; their ids."""
    until(lambda: pid_of(pool.submit(raw()).result()) != os.getpid())
    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]


def test_same_results() -> None:
    """Processes give what the caller's own gives, in order, batch for batch."""
    recipe = Recipe(
        mode=Mode.DOCUMENTS,
        transform={"steps": [{"cast": {"n": "int"}}, {"template": {"t": "{{ n }}"}}]},
        base=Path(),
    )
    batches = [
        (k, [bson.encode({"_id": i, "n": str(i) if i % 7 else "x"}) for i in range(k)]) for k in range(40)
    ]
    here = compile_batch(recipe)
    expected = [(tag, here(docs)) for tag, docs in batches]
    with TransformPool(recipe, workers=2) as pool:
        workers_up_without_function(pool)
        assert list(pool.stream(batches)) == expected
        unordered = sorted(pool.stream(batches, ordered=False), key=lambda pair: pair[0])
        assert unordered == expected


def workers_up_without_function(pool: TransformPool) -> None:
    """Use the pool until it has processes."""
    until(lambda: pool.submit([]).done() and len(multiprocessing.active_children()) == 2)


def test_small_data_starts_no_process(recipe: Recipe) -> None:
    """The first batch is done by the caller's own process, and no other is started for it."""
    with TransformPool(recipe, workers=2) as pool:
        assert [pid_of(result) for _, result in pool.stream([("a", raw())])] == [os.getpid()]
        assert multiprocessing.active_children() == []


def test_one_worker_is_no_process(recipe: Recipe) -> None:
    """With one worker everything is done by the caller's own process."""
    with TransformPool(recipe, workers=1) as pool:
        results = [pid_of(result) for _, result in pool.stream((i, raw()) for i in range(10))]
        assert set(results) == {os.getpid()}
        assert multiprocessing.active_children() == []


def test_backpressure(recipe: Recipe) -> None:
    """A consumer that stops reading stops the source, a few batches ahead of it."""
    pulled = count()
    seen = 0

    def source() -> Iterator[tuple[int, list[bytes]]]:
        nonlocal seen
        for seen in pulled:
            yield seen, raw()

    with TransformPool(recipe, workers=2) as pool:
        workers_up(pool)
        results = pool.stream(source())
        for consumed in range(50):
            next(results)
            assert seen <= consumed + 5


def test_leaving_ends_the_workers(recipe: Recipe) -> None:
    """Leaving the pool ends workers that are in an endless loop."""
    with TransformPool(recipe, workers=2) as pool:
        assert workers_up(pool)
        pool.submit(raw(hang=True))
    assert multiprocessing.active_children() == []


def test_closed_twice(recipe: Recipe) -> None:
    """A closed pool may be closed again, and takes nothing more."""
    pool = TransformPool(recipe, workers=2)
    pool.close()
    pool.close()
    with pytest.raises(ValueError, match="closed"):
        pool.submit(raw())


def test_killed_worker(recipe: Recipe) -> None:
    """A worker that is killed is a transient failure of the step, at once, and not a hang."""
    with TransformPool(recipe, workers=2) as pool:
        pids = workers_up(pool)
        pending = [pool.submit(raw(hang=True)) for _ in range(2)]
        os.kill(pids[0], signal.SIGKILL)
        for batch in pending:
            with pytest.raises(StepTransient, match="has died"):
                batch.result()
        with pytest.raises(StepTransient, match="has died"):
            pool.submit(raw()).result()


def test_interrupt_is_the_parents(recipe: Recipe) -> None:
    """Ctrl-C, which every process of the terminal gets, leaves the workers at their work."""
    with TransformPool(recipe, workers=2) as pool:
        pids = workers_up(pool)
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        assert {pid_of(pool.submit(raw()).result()) for _ in range(20)} <= set(pids)


def test_recipe_that_workers_cannot_compile(recipe: Recipe) -> None:
    """A function that is gone by the time the workers start is told in words."""
    with TransformPool(recipe, workers=2) as pool:
        pool.submit(raw())
        (recipe.base / "f.py").unlink()

        def fails() -> bool:
            try:
                pool.submit(raw())
            except FordwayError as error:
                assert "f.py cannot be read" in error.message
                return True
            return False

        until(fails)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
import bson, multiprocessing, os
from executor.transform.batch import Mode, Recipe
from executor.transform.pool import TransformPool

if __name__ == "__main__":
    transform = {{"steps": [{{"python": "./f.py:where"}}]}}
    recipe = Recipe(mode=Mode.DOCUMENTS, transform=transform, base=Path({base!r}))
    with TransformPool(recipe, workers=2) as pool:
        def through(**fields):
            result = pool.submit([bson.encode({{"_id": 1, **fields}})]).result()
            return bson.decode(result.records[0])["pid"]
        while through() == os.getpid():
            pass
        {then}
"""


def script(recipe: Recipe, then: str) -> subprocess.Popen[str]:
    """Start a process that has a pool, brings its workers up and then does something."""
    path = recipe.base / "main.py"
    path.write_text(SCRIPT.format(root=str(ROOT), base=str(recipe.base), then=then))
    return subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def gone(pid: int) -> bool:
    """Whether there is no such process any more, but for a zombie that nobody has asked for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_workers_end_with_their_parent(recipe: Recipe) -> None:
    """After a kill -9 of the parent no worker is left, even one that is in an endless loop."""
    then = (
        "for _ in range(2): pool.submit([bson.encode({'_id': 1, 'hang': True})])\n"
        "        print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n"
        "        import time; time.sleep(600)"
    )
    with script(recipe, then) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
        until(lambda: all(gone(pid) for pid in pids))


def test_workers_do_not_speak_on_standard_output(recipe: Recipe) -> None:
    """What a plan's function prints in a worker goes to standard error: output is for one document."""
    then = "assert through(say=os.getpid()) != os.getpid(); print('the document')"
    with script(recipe, then) as parent:
        out, err = parent.communicate()
    assert (out, err) == ("the document\n", "said by a worker\n")
    assert parent.returncode == 0
