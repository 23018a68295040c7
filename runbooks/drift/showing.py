"""Which values may be shown. What may be a secret is not, whatever its name says.

A name tells little: ``WEBHOOK`` or ``GREETING`` may hold a token. So a value is shown for what it is, a number, a URL,
a path, a host, a declared default, one of a closed set of words, and any other text is not.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from runbooks.redaction import MASK, is_secret, redact

LONGEST = 300
"""Characters that are shown of a value."""

_WORDS = frozenset(
    {
        *("true", "false", "yes", "no", "on", "off", "none", "null"),
        *("debug", "info", "warning", "warn", "error", "critical"),
        *("dev", "development", "test", "testing", "staging", "prod", "production", "demo", "local", "localhost"),
    }
)
_PATH = re.compile(r"(?:~?/|\.{1,2}/|[A-Za-z]:[\\/])[^\n]*")
_PATH_NAME = re.compile(r"(?:^|[_\-.])(?:dir|directory|folder|path|file|root|home)s?$", re.IGNORECASE)
_HOST = re.compile(r"(?:[a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(:\d{1,5})?|localhost(:\d{1,5})?", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d{1,5}(\.\d{1,6})?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*://", re.IGNORECASE)
_TOKEN = re.compile(r"(?=[^/]*\d)(?=[^/]*[A-Za-z])[A-Za-z0-9_\-+=.~%]{16,}|[A-Za-z]{28,}|\d{7,}")
"""A word as no person writes it. Such a part of a path or URL is what a webhook's secret looks like."""
_ORDINARY = re.compile(r"[A-Za-z][a-z]{0,19}\d{0,4}|\d{1,6}")


def shown(key: str, value: str, *, public: bool = False) -> str:
    """The value as it may be shown.

    Args:
        key: its name; one that looks secret masks it whatever it is.
        value: as text.
        public: whether it is known to everybody: a declared default, or one of a closed set of values.

    >>> shown("COMFYUI_URL", "http://me:hunter2@localhost:8189/?token=x")
    'http://me:****@localhost:8189/?****'
    >>> shown("GREETING", "correct horse"), shown("TIMEOUT", "30.0"), shown("DB_PASSWORD", "30.0")
    ('****', '30.0', '****')
    """
    if not value:
        return value
    if is_secret(key):
        return MASK
    if _SCHEME.match(value):
        return _url(value)[:LONGEST]
    if _is_path(key, value):
        return "/".join(_part(part) for part in value.split("/"))[:LONGEST]
    return value if _is_plain(value) or (public and _part(value) == value and len(value) <= LONGEST) else MASK


def shown_of(variable: str, value: str) -> str:
    """The value of a variable of the files as it may be shown.

    >>> shown_of("GREETING", "hunter2")
    '****'
    """
    # A folder's name may look like a token; of this one it is known that it is none.
    return redact(variable, value) if variable == "COMFYUI_OUTPUT_DIR" else shown(variable, value)


def text_of(value: Any) -> str:
    """A value as text, the same in every process that holds it."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def _is_plain(value: str) -> bool:
    if value.lower() in _WORDS or _NUMBER.fullmatch(value) or _HOST.fullmatch(value):
        return True
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_path(key: str, value: str) -> bool:
    if "@" in value or "://" in value:
        return False
    return _PATH.fullmatch(value) is not None or (_PATH_NAME.search(key) is not None and "/" in value)


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return f"{value.partition('://')[0]}://{MASK}"
    # A password with an unquoted / or # pushes its end, and the host, out of the place where they are looked for.
    if "@" in parts.path + parts.query + parts.fragment:
        return f"{parts.scheme}://{MASK}"
    path = "/".join(_part(part) for part in parts.path.split("/"))
    shown_parts = SplitResult(parts.scheme, _netloc(parts), path, "", "")
    # urlunsplit would drop the slashes of sqlite:////folder.
    text = urlunsplit(shown_parts) if parts.netloc else f"{parts.scheme}://{path}"
    return text + (f"?{MASK}" if parts.query else "") + (f"#{MASK}" if parts.fragment else "")


def _netloc(parts: SplitResult) -> str:
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return host
    user, colon, password = login.partition(":")
    # A lone word before @ is as often a token as a user's name.
    if not colon or _TOKEN.search(user):
        return f"{MASK}@{host}"
    return f"{user}:{MASK if password else ''}@{host}"


def _part(part: str) -> str:
    """One part of a path; masked when it looks like a token."""
    looks = _TOKEN.fullmatch(part) and not all(_ORDINARY.fullmatch(word) for word in re.split(r"[-_.+=~%]", part))
    return MASK if looks else part
