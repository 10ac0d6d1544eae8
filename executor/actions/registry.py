"""Which runner serves which kind of action. A kind is one name on every floor of the house."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from compiler.model.plan import Verdict
from executor.contract import Runner, StepFailed

Maker = Callable[[], Runner]


class Registry(Mapping[str, Runner]):
    """Runners by kind, each made (and its module imported) when it is first asked for.

    ``registry[kind]`` raises StepFailed, which lists the kinds, where there is none.
    """

    def __init__(self) -> None:
        self._makers: dict[str, Maker] = {}
        self._runners: dict[str, Runner] = {}
        self._lock = threading.Lock()

    def serves(self, kind: str) -> Callable[[Maker], Maker]:
        """Register the decorated maker for ``kind``. Raises ValueError if the kind has one."""

        def register(maker: Maker) -> Maker:
            if kind in self._makers:
                raise ValueError(f"the action '{kind}' has a runner already")
            self._makers[kind] = maker
            return maker

        return register

    def __getitem__(self, kind: str) -> Runner:
        with self._lock:
            if kind not in self._runners:
                if kind not in self._makers:
                    raise StepFailed(
                        f"there is no action '{kind}' here",
                        hint=f"the actions are {', '.join(sorted(self._makers))}",
                        verdict=Verdict.ABSENT,
                    )
                self._runners[kind] = self._makers[kind]()
            return self._runners[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


RUNNERS = Registry()


def runner_of(kind: str) -> Runner:
    """The runner of a kind. Raises StepFailed, which lists the kinds, where there is none."""
    return RUNNERS[kind]


@RUNNERS.serves("backup")
def _backup() -> Runner:
    from executor.actions.backup import BackupRunner

    return BackupRunner()


@RUNNERS.serves("restore")
def _restore() -> Runner:
    from executor.actions.restore import RestoreRunner

    return RestoreRunner()


@RUNNERS.serves("provision")
def _provision() -> Runner:
    from executor.actions.provision import ProvisionRunner

    return ProvisionRunner()


@RUNNERS.serves("bulk")
def _bulk() -> Runner:
    from executor.actions.bulk import BulkRunner

    return BulkRunner()


@RUNNERS.serves("verify")
def _verify() -> Runner:
    from executor.actions.verify import VerifyRunner

    return VerifyRunner()


@RUNNERS.serves("command")
def _command() -> Runner:
    from executor.actions.command import CommandRunner

    return CommandRunner()


@RUNNERS.serves("script")
def _script() -> Runner:
    from executor.actions.script import ScriptRunner

    return ScriptRunner()


@RUNNERS.serves("manual")
def _manual() -> Runner:
    from executor.actions.manual import ManualRunner

    return ManualRunner()


@RUNNERS.serves("health")
def _health() -> Runner:
    from executor.actions.health import HealthRunner

    return HealthRunner()
