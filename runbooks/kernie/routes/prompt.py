"""`/prompt`: how busy the server is, and prompts to run."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from runbooks.kernie.answers import json_answer, json_body, mock_of
from runbooks.kernie.execution import now_ms
from runbooks.kernie.mock import Mock
from runbooks.kernie.queue import Entry, is_canonical_id
from runbooks.kernie.validation.faults import Fault, fault
from runbooks.kernie.validation.prompt import check_prompt

ROUTES = web.RouteTableDef()
# Never shown again by /queue or /history.
SENSITIVE_KEYS = ("auth_token_comfy_org", "api_key_comfy_org")


@ROUTES.get("/prompt")
async def busy(request: web.Request) -> web.Response:
    """How many prompts wait or run."""
    return json_answer(mock_of(request).queue_info())


@ROUTES.post("/prompt")
async def submit(request: web.Request) -> web.Response:
    """Check a prompt and queue it."""
    mock = mock_of(request)
    mock.counts["received"] += 1
    body = await json_body(request)
    number = _number(mock, body)
    if "prompt" not in body:
        return _rejected(fault("no_prompt", "No prompt provided", "No prompt provided"))
    prompt_id = body.get("prompt_id")
    if prompt_id is None:
        prompt_id = mock.new_id()
    elif not is_canonical_id(prompt_id):
        details = "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
        details += "omit it to let the server generate one"
        return _rejected(fault("invalid_prompt_id", "prompt_id must be a valid UUID", details))
    prompt = body["prompt"]
    answer = check_prompt(prompt, body.get("partial_execution_targets"), mock.registry, mock.world)
    extra_data = _extra_data(request, body)
    if answer.error is not None:
        return _rejected(answer.error, answer.node_errors)
    sensitive = {key: extra_data.pop(key) for key in SENSITIVE_KEYS if key in extra_data}
    extra_data["create_time"] = now_ms()
    mock.queue.put(Entry(number, prompt_id, prompt, extra_data, answer.outputs, sensitive))
    return json_answer({"prompt_id": prompt_id, "number": number, "node_errors": answer.node_errors})


def _number(mock: Mock, body: Any) -> float:
    """The prompt's priority: as asked for, or the next one, negative for `front`.

    Raises:
        TypeError, ValueError: for bodies that are no object, and numbers that are none: 500, as on the real server.
    """
    if "number" in body:
        return float(body["number"])
    number = mock.number
    mock.number += 1
    # A list is a body without prompt, not a broken one: no .get() here.
    return -number if "front" in body and body["front"] else number  # noqa: RUF019


def _extra_data(request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
    """What a client sends along, and who it is.

    Raises:
        TypeError, AttributeError: for extra data that is no object: 500, as on the real server.
    """
    extra_data: dict[str, Any] = body.get("extra_data", {})
    if "client_id" in body:
        extra_data["client_id"] = body["client_id"]
    source = request.headers.get("Comfy-Usage-Source")
    if "comfy_usage_source" not in extra_data and source:
        extra_data["comfy_usage_source"] = source
    return extra_data


def _rejected(error: Fault, node_errors: dict[str, Any] | None = None) -> web.Response:
    return json_answer({"error": error, "node_errors": node_errors or {}}, 400)
