"""Keep secrets out of everything that is shown: values of keys that look secret, and credentials inside URLs."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote, unquote

MASK = "****"

_WORKING_DIRECTORIES = ("PWD", "OLDPWD")

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?(_|-|$)|(^|_|-)pwd(_|-|$)|secret|token|credential|private|(api|access|auth|encryption|signing)_?-?key"
    r"|(^|_|-)(key|auth|dsn|salt|cookie|pin|otp|jwt)$",
    re.IGNORECASE,
)
_URL_CREDENTIALS = re.compile(
    r"(?<![a-z0-9+.\-])(?P<scheme>[a-z][a-z0-9+.\-]*+://)(?P<user>[^/?#\s:@]*)(?P<password>:[^/?#\s]*)?@", re.IGNORECASE
)
_ASSIGNMENT = re.compile(
    r"""(?<!\w)(?P<name>[A-Za-z_][\w-]*+)(?P<sign>["']?\s{0,3}(?::(?!//)|=(?!=))\s{0,3}(?:(?:Bearer|Basic|Token)\s+)?["']?)"""
    r"""(?P<value>[^\s"',;(){}\[\]]+)"""
)
_SHORTEST = 4
"""In characters: a value shorter than this is not looked for in texts."""
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
    if value and is_secret(name):
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


def can_be_masked(value: str) -> bool:
    """Say whether a ``Redactor`` finds a value wherever it stands: a shorter one is in half of all words."""
    return len(value.strip()) >= _SHORTEST


class Redactor:
    """Masks secrets in free text: known values wherever they stand, and what follows a name that looks secret.

    Known are the values of variables with secret names, passwords inside the URLs of others, what ``add`` was given,
    and what ``learn`` has read. Values of fewer than four characters are only masked behind their names.

    ```python
    from runbooks.redaction import Redactor

    redactor = Redactor({"DB_PASSWORD": "hunter2", "REDIS_URL": "redis://:s3cret@localhost/0"})
    print(redactor("login with hunter2, then s3cret; api_key=abc"))
    ```

    ```output
    login with ****, then ****; api_key=****
    ```
    """

    def __init__(self, *environments: Mapping[str, str]) -> None:
        self._values: set[str] = set()
        self._known: re.Pattern[str] | None = None
        for environ in environments:
            self.know(environ)

    def know(self, settings: Mapping[str, Any]) -> None:
        """Mask the secrets among these variables or settings from now on, also nested ones."""
        for name, value in settings.items():
            if isinstance(value, Mapping):
                self.know(value)
            elif value is not None:
                self.add(*_passwords(str(value)), *([str(value)] if is_secret(name) else []))

    def add(self, *values: str) -> None:
        """Mask these values from now on, also in JSON, URLs, HTML, Python, hex, Base64; each line of long ones."""
        for value in values:
            for form in (value, *value.splitlines()):
                spelled = {
                    form,
                    json.dumps(form)[1:-1],
                    repr(form)[1:-1],
                    quote(form, safe=""),
                    quote(form),
                    escape(form),
                }
                spelled |= _encoded(form)
                self._values |= {text for text in spelled if can_be_masked(text)}
        self._known = None

    def learn(self, text: str) -> None:
        """Read code: what it assigns to a secret name is a secret wherever it stands afterwards."""
        for found in _ASSIGNMENT.finditer(text):
            if is_secret(found["name"]) and not _is_code(found["value"]):
                self.add(found["value"])
        self.add(*_passwords(text))

    def __call__(self, text: str) -> str:
        """Return the text as it may be shown and recorded."""
        if self._known is None:
            self._known = re.compile(
                "|".join(re.escape(value) for value in sorted(self._values, key=len, reverse=True))
            )
        if self._values:
            text = self._known.sub(MASK, text)
        return _ASSIGNMENT.sub(_without_value, redact_text(text))

    def data(self, value: Any) -> Any:
        """Return JSON-like data with every text in it redacted."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {
                key: self(redact(str(key), item)) if isinstance(item, str) else self.data(item)
                for key, item in value.items()
            }
        if isinstance(value, Iterable):
            return [self.data(item) for item in value]
        return value


def _encoded(value: str) -> set[str]:
    """Return a value in hex and in Base64, there at each of the three places where it can begin among other bytes."""
    data = value.encode("utf-8", "surrogateescape")
    whole = {data.hex()}
    for before, unsure in ((0, 0), (1, 2), (2, 3)):
        # The characters that hold bits of nothing but the value.
        whole.add(b64encode(bytes(before) + data).decode()[unsure : (before + len(data)) * 8 // 6])
    return {text for text in whole if len(text) >= 2 * _SHORTEST}


def is_secret(name: str) -> bool:
    """Say whether a variable of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None and name not in _WORKING_DIRECTORIES


def _is_code(value: str) -> bool:
    """Say whether what is assigned is no literal: a variable, a substitution, a mask."""
    return value.startswith(("$", "`", "<", MASK))


def _without_value(found: re.Match[str]) -> str:
    secret = is_secret(found["name"]) or found["name"].lower().endswith("authorization")
    if not secret or _is_code(found["value"]):
        return found.group()
    return f"{found['name']}{found['sign']}{MASK}"


def _passwords(text: str) -> set[str]:
    """The passwords inside the URLs of a text, as they are written and as they are meant."""
    found = {match["password"][1:] for match in _URL_CREDENTIALS.finditer(text) if match["password"]}
    found |= {match["user"] for match in _URL_CREDENTIALS.finditer(text) if not match["password"]}
    found |= {match.group().partition("=")[2] for match in _QUERY_SECRET.finditer(text)}
    return found | {unquote(value) for value in found}
