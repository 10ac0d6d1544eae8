"""The command and script actions, with real commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.model.plan import Step, Verb, Verdict
from executor.actions.command import CommandRunner
from executor.actions.script import ScriptRunner
from executor.contract import Context, Outcome, StepFailed, StepTransient, Stopped

MakeContext = Callable[..., Context]
MakeStep = Callable[..., Step]


def test_run_undo_and_probe(tmp_path: Path, context: MakeContext, step: MakeStep) -> None:
    """A command is done, found and taken back by the commands that the plan gives."""
    params = {"run": ["touch", "flag"], "undo": ["rm", "flag"], "probe": ["test", "-e", "flag"]}
    runner, it, here = CommandRunner(), step("command", params), context()
    prepared = runner.prepare(it, here)
    assert runner.probe(it, here, prepared) is Verdict.ABSENT
    assert runner.run(it, here, prepared).result["exit"] == 0
    assert (tmp_path / "flag").exists()
    assert runner.probe(it, here, prepared) is Verdict.APPLIED
    runner.undo(it, here, prepared)
    assert runner.probe(it, here, prepared) is Verdict.ABSENT


def test_result_is_plain(context: MakeContext, step: MakeStep) -> None:
    """The outcome names the log from the run's folder on and holds the last words."""
    it = step("command", {"run": ["printf", "%s\\n", "a", "b"]}, id="say/it")
    outcome = CommandRunner().run(it, context(attempt=3), {})
    assert outcome == Outcome(result={"exit": 0, "log": "logs/say%2Fit.3.log", "output": ["a", "b"]})


def test_numbers_are_arguments_too(context: MakeContext, step: MakeStep) -> None:
    """A number in an argument list is passed as YAML shows it."""
    it = step("command", {"run": ["echo", 10, 1.5]})
    assert CommandRunner().run(it, context(), {}).result["output"] == ["10 1.5"]


def test_failure_tells_status_and_last_lines(context: MakeContext, step: MakeStep) -> None:
    """A failed command is told with its status, what it said last and where the rest is."""
    it = step("command", {"run": "echo looking; echo 'no such table' >&2; exit 3", "shell": True})
    with pytest.raises(StepFailed) as caught:
        CommandRunner().run(it, context(), {})
    assert "ended with exit status 3\n  | looking\n  | no such table" in caught.value.message
    assert "the-step.1.log" in caught.value.hint
    assert caught.value.verdict is Verdict.UNKNOWN
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("status", "idempotent", "transient"), [(75, False, True), (1, True, True), (1, False, False)]
)
def test_what_may_be_tried_again(
    context: MakeContext, step: MakeStep, status: int, idempotent: bool, transient: bool
) -> None:
    """A failure is tried again only if the command asks for it or the step says that it may be."""
    it = step("command", {"run": f"exit {status}", "shell": True}, idempotent=idempotent)
    with pytest.raises(StepFailed) as caught:
        CommandRunner().run(it, context(), {})
    assert isinstance(caught.value, StepTransient) is transient


def test_timeout_of_the_step(context: MakeContext, step: MakeStep) -> None:
    """A command that takes longer than its step may is ended, and that is not tried again."""
    it = step("command", {"run": ["sleep", "600"]}, timeout=0.3, idempotent=True)
    with pytest.raises(StepFailed, match=r"`sleep 600` was ended after its timeout of 0.3 s") as caught:
        CommandRunner().run(it, context(), {})
    assert not caught.value.transient
    assert caught.value.verdict is Verdict.UNKNOWN


def test_cancelled_before_start(tmp_path: Path, context: MakeContext, step: MakeStep) -> None:
    """A run that is stopping starts no command any more."""

    def proceed() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        CommandRunner().run(step("command", {"run": ["touch", "flag"]}), context(proceed=proceed), {})
    assert not (tmp_path / "flag").exists()


def test_command_not_found_had_no_effect(context: MakeContext, step: MakeStep) -> None:
    """A command that is not there is proven to have done nothing."""
    with pytest.raises(StepFailed, match="was not found") as caught:
        CommandRunner().run(step("command", {"run": ["no-such-program"]}), context(), {})
    assert caught.value.verdict is Verdict.ABSENT


def test_undo_that_is_not_declared(context: MakeContext, step: MakeStep) -> None:
    """There is nothing to guess about how a command is taken back."""
    with pytest.raises(StepFailed, match="declares no 'undo'"):
        CommandRunner().undo(step("command", {"run": ["true"]}), context(), {})


def test_environment_of_the_child(
    context: MakeContext, step: MakeStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child knows its run, step, key and direction, the plan's variables, and its parent's, but not the
    crash point that is meant for its parent."""
    monkeypatch.setenv("FROM_PARENT", "yes")
    monkeypatch.setenv("FORDWAY_CRASH_AT", "no-such-point")
    shown = "echo $FORDWAY_RUN $FORDWAY_STEP $FORDWAY_KEY $FORDWAY_DIRECTION $FROM_PARENT $LEVEL $FLAG"
    params = {
        "run": shown,
        "undo": shown + " ${FORDWAY_CRASH_AT-none}",
        "shell": True,
        "env": {"LEVEL": 3, "FLAG": True, "FORDWAY_RUN": "mine"},
    }
    runner, here = CommandRunner(), context()
    forward = runner.run(step("command", params, id="seed"), here, {})
    assert forward.result["output"] == [f"{here.run} seed {here.key} forward yes 3 true"]
    back = step("command", params, id="undo:seed", undoes="seed", verb=Verb.UNDO)
    assert runner.undo(back, here, {}).result["output"] == [
        f"{here.run} seed {here.key} backward yes 3 true none"
    ]


def test_secrets_reach_the_child_only(
    tmp_path: Path, context: MakeContext, step: MakeStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets are given to the child and shown neither in its log nor in the failure."""
    monkeypatch.setenv("VAULT", "open sesame")
    (tmp_path / "key").write_text("opensource\n")
    params = {
        "run": 'test "$A$B" = "open sesameopensource" && echo "$A, $B" && exit 1',
        "shell": True,
        "env": {"A": {"fromEnv": "VAULT"}, "B": {"fromFile": "key"}},
    }
    here = context()
    with pytest.raises(StepFailed) as caught:
        CommandRunner().run(step("command", params), here, {})
    assert "| ***, ***" in caught.value.message
    log = (here.folder / "logs" / "the-step.1.log").read_text()
    assert "open sesame" not in log
    assert "opensource" not in log


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ({"fromEnv": "FORDWAY_NOT_SET"}, "FORDWAY_NOT_SET is not set"),
        ({"fromFile": "away"}, "away cannot be read"),
        ({"fromFile": "."}, "cannot be read"),
        ({"fromFile": "binary"}, "is not UTF-8"),
    ],
)
def test_missing_secret(
    tmp_path: Path, context: MakeContext, step: MakeStep, reference: dict[str, str], told: str
) -> None:
    """A secret that is not there is told by its reference before anything runs."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    params = {"run": ["touch", "flag"], "env": {"KEY": reference}}
    with pytest.raises(StepFailed, match=told) as caught:
        CommandRunner().run(step("command", params), context(), {})
    assert caught.value.verdict is Verdict.ABSENT
    assert not (tmp_path / "flag").exists()


def test_working_folder(tmp_path: Path, context: MakeContext, step: MakeStep) -> None:
    """A command runs in the folder that the plan names, seen from the plan's own."""
    (tmp_path / "deploy").mkdir()
    it = step("command", {"run": ["pwd"], "cwd": "deploy"})
    assert CommandRunner().run(it, context(), {}).result["output"] == [str(tmp_path / "deploy")]
    with pytest.raises(StepFailed, match="away") as caught:
        CommandRunner().run(step("command", {"run": ["pwd"], "cwd": "away"}), context(), {})
    assert caught.value.verdict is Verdict.ABSENT


@pytest.mark.parametrize(
    ("probe", "verdict"),
    [
        (["true"], Verdict.APPLIED),
        (["false"], Verdict.ABSENT),
        (["sh", "-c", "exit 2"], Verdict.UNKNOWN),
        (["sh", "-c", "kill -KILL $$"], Verdict.UNKNOWN),
        (["no-such-program"], Verdict.UNKNOWN),
        ([sys.executable, "-c", "import no_such_module"], Verdict.UNKNOWN),
        (["sleep", "600"], Verdict.UNKNOWN),
    ],
)
def test_what_a_probe_finds(context: MakeContext, step: MakeStep, probe: list[str], verdict: Verdict) -> None:
    """Only status 0 and status 1 are findings; a probe that breaks or hangs has found nothing out."""
    it = step("command", {"run": ["true"], "probe": probe}, timeout=2.0)
    assert CommandRunner().probe(it, context(), {}) is verdict


def test_without_a_probe(context: MakeContext, step: MakeStep) -> None:
    """Without a probe a command in doubt stays so, unless it may be run again."""
    params = {"run": ["true"]}
    assert CommandRunner().probe(step("command", params), context(), {}) is Verdict.UNKNOWN
    assert CommandRunner().probe(step("command", params, idempotent=True), context(), {}) is Verdict.RESUMABLE


def test_params_of_another_kind(context: MakeContext, step: MakeStep) -> None:
    """A compiled plan from elsewhere gets a sentence, not a traceback."""
    for params in ({"run": 7}, {"run": [["nested"]]}, {"run": ["true"], "env": []}):
        with pytest.raises(StepFailed, match="must be"):
            CommandRunner().run(step("command", params), context(), {})


def test_python_script(tmp_path: Path, context: MakeContext, step: MakeStep) -> None:
    """A Python script runs with the interpreter that Fordway runs with, in the plan's folder."""
    (tmp_path / "say.py").write_text("import os, sys\nprint(sys.executable, os.getcwd(), *sys.argv[1:])\n")
    it = step("script", {"path": "./say.py", "args": ["a b", "c"]})
    assert ScriptRunner().run(it, context(), {}).result["output"] == [f"{sys.executable} {tmp_path} a b c"]


def test_shell_script_with_undo_and_probe(tmp_path: Path, context: MakeContext, step: MakeStep) -> None:
    """A script has its undo with arguments of its own, and its probe."""
    (tmp_path / "do.sh").write_text('touch "$1"\n')
    (tmp_path / "undo.sh").write_text('echo "$FORDWAY_DIRECTION"; rm "$1"\n')
    (tmp_path / "look.py").write_text("import pathlib, sys\nsys.exit(not pathlib.Path('x').exists())\n")
    params = {
        "path": "do.sh",
        "args": ["x"],
        "undo": "undo.sh",
        "undoArgs": ["x"],
        "probe": "look.py",
    }
    runner, it, here = ScriptRunner(), step("script", params), context()
    assert runner.probe(it, here, {}) is Verdict.ABSENT
    runner.run(it, here, {})
    assert runner.probe(it, here, {}) is Verdict.APPLIED
    assert runner.undo(it, here, {}).result["output"] == ["backward"]
    assert runner.probe(it, here, {}) is Verdict.ABSENT


def test_script_with_an_interpreter_of_its_own(tmp_path: Path, context: MakeContext, step: MakeStep) -> None:
    """A named interpreter goes before the suffix's, and a program needs none."""
    (tmp_path / "say").write_text("echo said\n")
    it = step("script", {"path": "say", "interpreter": ["/bin/sh", "-e"]})
    assert ScriptRunner().run(it, context(), {}).result["output"] == ["said"]
    with pytest.raises(StepFailed, match="may not be executed"):
        ScriptRunner().run(step("script", {"path": "say"}), context(), {})
    (tmp_path / "say").write_text("#!/bin/sh\necho by itself\n")
    (tmp_path / "say").chmod(0o755)
    assert ScriptRunner().run(step("script", {"path": "say"}), context(), {}).result["output"] == [
        "by itself"
    ]


def test_missing_script(context: MakeContext, step: MakeStep) -> None:
    """A script that is gone since the compile is named, nothing has happened, and a probe finds nothing."""
    it = step("script", {"path": "away.py", "probe": "away.py"})
    with pytest.raises(StepFailed, match=r"away.py is not there") as caught:
        ScriptRunner().run(it, context(), {})
    assert caught.value.verdict is Verdict.ABSENT
    assert ScriptRunner().probe(it, context(), {}) is Verdict.UNKNOWN
    with pytest.raises(StepFailed, match="declares no 'undo'"):
        ScriptRunner().undo(it, context(), {})


def test_output_of_python_is_not_held_back(tmp_path: Path, context: MakeContext, step: MakeStep) -> None:
    """What a Python script said before it was ended is in its log."""
    (tmp_path / "slow.py").write_text("import time\nprint('half-way')\ntime.sleep(600)\n")
    with pytest.raises(StepFailed, match=r"(?s)timeout.*half-way"):
        ScriptRunner().run(step("script", {"path": "slow.py"}, timeout=2.0), context(), {})


def test_long_step_id_has_a_log(context: MakeContext, step: MakeStep) -> None:
    """A step's id may be longer than a file's name."""
    first = CommandRunner().run(step("command", {"run": ["true"]}, id="x" * 300), context(), {})
    second = CommandRunner().run(step("command", {"run": ["true"]}, id="x" * 301), context(), {})
    assert first.result["log"] != second.result["log"]
    assert len(os.path.basename(str(first.result["log"]))) < 255  # noqa: PTH119
