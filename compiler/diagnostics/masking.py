"""What looks like a secret, so that it is found, and never shown."""

from __future__ import annotations

import re
from functools import lru_cache

MASK = "•"

_NAMED = r"(?:pass(?:word|wd|phrase)|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|credentials?)"
_SECRET_NAME = re.compile(rf"(?i).*{_NAMED}")
_URI_PASSWORD = re.compile(r"://[^\s/:@]*:(?P<secret>[^\s/]+)@")
_KNOWN_TOKEN = re.compile(
    r"(?P<secret>\bsk-[A-Za-z0-9_-]{20,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36,}"
    r"|\bxox[abpr]-[A-Za-z0-9-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----.*)"
)
_HINTS = re.compile(r"://|=|sk-|AKIA|gh[pousr]_|xox|-----BEGIN")
_OPTION = re.compile(rf"(?i)(?:^|\s)--?[a-z-]*{_NAMED}=(?P<secret>[^\s$'\"]\S*)")
_ASSIGNED = re.compile(rf"(?i){_NAMED}[\"']?\s*[:=]\s*[\"']?(?P<secret>[^\s\"'{{\[#,][^\"',}}]*)")


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a key of that name is meant to hold a secret.

    >>> [is_secret_name(name) for name in ("apiKey", "DB_PASSWORD", "maxTokens", "monkey")]
    [True, True, False, False]
    """
    return len(name) <= 200 and _SECRET_NAME.fullmatch(name) is not None


def secrets_in(text: str) -> list[tuple[int, int]]:
    """Where passwords in URIs and in options, and well-known forms of tokens, stand in a text.

    >>> secrets_in("mongodb://me:pw@host/")
    [(13, 15)]
    """
    return [
        match.span("secret")
        for form in (_URI_PASSWORD, _KNOWN_TOKEN, _OPTION)
        for match in form.finditer(text)
    ]


def masked(text: str) -> str:
    """A line of a file or a value as it may be shown: one bullet for each character of what is, or could
    be, a secret. Rather too much than too little.

    >>> masked("uri: mongodb://me:pw@host/"), masked("password: hunter2")
    ('uri: mongodb://me:••@host/', 'password: •••••••')
    """
    for start, end in [*secrets_in(text), *(match.span("secret") for match in _ASSIGNED.finditer(text))]:
        text = text[:start] + MASK * (end - start) + text[end:]
    return text
