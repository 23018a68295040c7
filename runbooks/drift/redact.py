"""Keep secrets out of everything that is shown: values of keys that look secret, and credentials inside URLs."""

from __future__ import annotations

import re

MASK = "****"

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?(_|-|$)|(^|_|-)pwd(_|-|$)|secret|token|credential|private|(api|access|auth|encryption|signing)_?-?key"
    r"|(^|_|-)(key|auth|dsn|salt|cookie|pin|otp|jwt)$",
    re.IGNORECASE,
)
_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.\-]*://)(?P<user>[^/?#\s:@]*)(?P<password>:[^/?#\s]*)?@", re.IGNORECASE
)
_QUERY_SECRET = re.compile(
    r"(?P<name>[?&;][^=&;\s]*(?:pass|pwd|secret|token|key|sig)[^=&;\s]*=)[^&;#\s]+", re.IGNORECASE
)


def redact(name: str, value: str) -> str:
    """The value as it may be shown: masked when the name looks secret, else without credentials inside URLs.

    >>> redact("DB_PASSWORD", "hunter2")
    '****'
    >>> redact("REDIS_URL", "redis://:hunter2@localhost:6379/1")
    'redis://:****@localhost:6379/1'
    >>> redact("COMFYUI_URL", "http://localhost:8189")
    'http://localhost:8189'
    """
    if value and _SECRET_NAME.search(name):
        return MASK
    return redact_text(value)


def redact_text(text: str) -> str:
    """Free text, such as a log line, without the credentials inside its URLs."""
    text = _URL_CREDENTIALS.sub(_without_password, text)
    return _QUERY_SECRET.sub(rf"\g<name>{MASK}", text)


def _without_password(found: re.Match[str]) -> str:
    # A lone word before @ is as often a token as a user name.
    user = found["user"] if found["password"] else MASK
    return f"{found['scheme']}{user}:{MASK}@" if found["password"] else f"{found['scheme']}{user}@"
