"""What arrived: the last requests, with their bodies as far as they are small."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Any, NamedTuple

MAX_REQUESTS = 1000
MAX_BODY = 32 * 1024
# Never shown, wherever in a body they are.
SECRETS = frozenset({"auth_token_comfy_org", "api_key_comfy_org"})


class Seen(NamedTuple):
    """One request."""

    number: int
    at: float
    method: str
    path: str
    query: str
    body: str | None
    status: int
    seconds: float

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "number": self.number,
            "at": round(self.at, 3),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "json": _parsed(self.body),
            "status": self.status,
            "milliseconds": round(self.seconds * 1000, 2),
        }


def _parsed(body: str | None) -> Any:
    if not body:
        return None
    try:
        return _without_secrets(json.loads(body))
    except (ValueError, RecursionError):
        return None


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "***" if key in SECRETS else _without_secrets(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    return value


class Journal:
    """The last thousand requests."""

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque(maxlen=MAX_REQUESTS)
        self._count = 0

    def note(self, method: str, path: str, query: str, body: str | None, status: int, seconds: float) -> None:
        """Note an answered request; a long body is left out."""
        self._count += 1
        if body is not None and len(body) > MAX_BODY:
            body = None
        self._seen.append(Seen(self._count, time.time(), method, path, query, body, status, seconds))

    def clear(self) -> None:
        """Forget all; numbers start again."""
        self._seen.clear()
        self._count = 0

    def find(self, method: str | None, path: str | None, status: int | None, since: int) -> list[Seen]:
        """Requests of a method, with a path, a status, after a number.

        The path is meant exactly, or with a `*` at its end as a beginning; with `/api` before it or without.
        """
        return [each for each in self._seen if each.number > since and _fits(each, method, path, status)]


def _fits(seen: Seen, method: str | None, path: str | None, status: int | None) -> bool:
    paths = (seen.path, seen.path.removeprefix("/api"))
    if path is not None and path.endswith("*"):
        right_path = any(each.startswith(path[:-1]) for each in paths)
    else:
        right_path = path is None or path in paths
    return right_path and method in (None, seen.method) and status in (None, seen.status)
