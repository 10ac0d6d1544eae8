"""Secrets by reference: where a value comes from, read at the last moment and kept nowhere.

A reference is ``{"fromEnv": NAME}`` or ``{"fromFile": PATH}``, as it stands in the compiled plan.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from compiler.model.plan import Json, Verdict
from executor.contract import StepFailed

_LIMIT = 1024 * 1024  # bytes; a key or a certificate chain, not a device that never ends


def is_reference(value: Json) -> bool:
    """Whether ``value`` names a secret instead of being one.

    >>> is_reference({"fromEnv": "TOKEN"}), is_reference("TOKEN"), is_reference({"a": 1})
    (True, False, False)
    """
    return isinstance(value, Mapping) and len(value) == 1 and bool({"fromEnv", "fromFile"} & value.keys())


def read_secret(reference: Json, base: Path) -> str:
    """The secret that ``reference`` names; a file's last newline is not part of it.

    ``base`` is the folder that a relative path starts from. Raises StepFailed (verdict ABSENT) if the
    variable is unset or the file cannot be read; the message never holds the secret.
    """
    if isinstance(reference, Mapping):
        match dict(reference):
            case {"fromEnv": str(name)}:
                return _from_environment(name)
            case {"fromFile": str(path)}:
                return _from_file(base / path)
    raise StepFailed("a secret needs 'fromEnv' or 'fromFile'", verdict=Verdict.ABSENT)


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise StepFailed(
            f"the environment variable {name} is not set",
            hint=f"the plan takes a secret from it: export {name}=…",
            verdict=Verdict.ABSENT,
        )
    return value


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            raise StepFailed(f"the secret file {path} is larger than 1 MB", verdict=Verdict.ABSENT)
        text = data.decode("utf-8")
    except OSError as error:
        raise StepFailed(
            f"the secret file {path} cannot be read: {error.strerror}", verdict=Verdict.ABSENT
        ) from error
    except UnicodeDecodeError:
        raise StepFailed(f"the secret file {path} is not UTF-8 text", verdict=Verdict.ABSENT) from None
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


class Secret:
    """A secret in hand, which shows itself to nobody by accident.

    >>> Secret("hunter2"), f"{Secret('hunter2')}", Secret("hunter2").scrub("the key hunter2 is wrong")
    (Secret('***'), '***', 'the key *** is wrong')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the one place that needs it."""
        return self._value

    def scrub(self, text: str) -> str:
        """The text without the secret, however often it stands there."""
        return text.replace(self._value, "***") if self._value else text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not written to files and not sent to other processes")


def resolve(value: Json, *, base: Path) -> str:
    """The text that an option holds: itself, or the secret that it refers to (see :func:`read_secret`)."""
    return value if isinstance(value, str) else read_secret(value, base)
