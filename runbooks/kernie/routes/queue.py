"""`/queue`, `/history`, `/interrupt`, `/free`: what waits, what ran, and how to stop it."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from runbooks.kernie.answers import empty, json_answer, json_body, mock_of, raw_json

ROUTES = web.RouteTableDef()


@ROUTES.get("/queue")
async def shown(request: web.Request) -> web.Response:
    """The running prompt and the waiting ones."""
    return json_answer(mock_of(request).queue.shown())


@ROUTES.post("/queue")
async def change_queue(request: web.Request) -> web.Response:
    """`{"clear": true}` or `{"delete": [ids]}`; the running prompt is left alone."""
    queue = mock_of(request).queue
    body = await json_body(request)
    if _asked(body, "clear"):
        queue.clear()
    for prompt_id in _asked(body, "delete") or ():
        queue.delete(prompt_id)
    return empty()


@ROUTES.get("/history")
async def history(request: web.Request) -> web.Response:
    """Prompts that ran, oldest first: `max_items`, `offset`."""
    query = request.query
    max_items = int(query["max_items"]) if "max_items" in query else None
    offset = int(query["offset"]) if "offset" in query else -1
    records = mock_of(request).queue.records(max_items, offset)
    return raw_json(
        b"{" + b", ".join(json.dumps(each.prompt_id).encode() + b": " + each.json for each in records) + b"}"
    )


@ROUTES.get("/history/{prompt_id}")
async def one_of_history(request: web.Request) -> web.Response:
    """One prompt that ran, under its id; an empty object until it has."""
    prompt_id = request.match_info["prompt_id"]
    record = mock_of(request).queue.history.get(prompt_id)
    if record is None:
        return raw_json(b"{}")
    return raw_json(b"{" + json.dumps(prompt_id).encode() + b": " + record.json + b"}")


@ROUTES.post("/history")
async def change_history(request: web.Request) -> web.Response:
    """`{"clear": true}` or `{"delete": [ids]}`."""
    queue = mock_of(request).queue
    body = await json_body(request)
    if _asked(body, "clear"):
        queue.forget_all()
    for prompt_id in _asked(body, "delete") or ():
        queue.forget(prompt_id)
    return empty()


@ROUTES.post("/interrupt")
async def interrupt(request: web.Request) -> web.Response:
    """Stop the running prompt; with a `prompt_id`, only if it is that one."""
    mock = mock_of(request)
    try:
        body = await json_body(request)
    except json.JSONDecodeError:
        body = {}
    prompt_id = body.get("prompt_id")
    running = mock.queue.running
    if not prompt_id or (running is not None and running.prompt_id == prompt_id):
        mock.executor.interrupt()
    return empty()


@ROUTES.post("/free")
async def free(request: web.Request) -> web.Response:
    """Forget cached results (`free_memory`); unloading models costs a mock nothing."""
    body = await json_body(request)
    if body.get("free_memory"):
        mock_of(request).executor.forget_results()
    return empty()


def _asked(body: Any, key: str) -> Any:
    """What the body says under a key, or None.

    Raises:
        TypeError, IndexError: for a body that only looks like an object: 500, as on the real server.
    """
    return body[key] if key in body else None  # noqa: SIM401 - an empty list is a body that asks for nothing
