"""Small helpers that routes share."""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Any

from aiohttp import web

from runbooks.kernie.mock import MOCK, Mock

# Where a route leaves its JSON body for the journal: a request is answered in one context.
BODY: ContextVar[str | None] = ContextVar("BODY", default=None)
JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}


def mock_of(request: web.Request) -> Mock:
    """The mock that answers this request."""
    return request.app[MOCK]


def json_answer(value: Any, status: int = 200) -> web.Response:
    """A JSON response with the separators and the content type of the real server."""
    return raw_json(json.dumps(value).encode(), status)


def raw_json(body: bytes, status: int = 200) -> web.Response:
    """A response whose body is JSON already."""
    return web.Response(body=body, status=status, headers=JSON_HEADERS)


def empty(status: int = 200) -> web.Response:
    """A response without body and content type."""
    return web.Response(status=status)


async def json_body(request: web.Request) -> Any:
    """The body as JSON, whatever the content type says.

    Raises:
        ValueError: if it is none; the answer is a plain 500 then, as on the real server.
    """
    text = await request.text()
    BODY.set(text)
    return json.loads(text)
