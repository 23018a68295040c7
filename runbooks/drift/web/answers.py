"""How the status page is answered: as a page, as JSON, as events."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from runbooks.drift.answering import json_response
from runbooks.drift.web.board import workers_of
from runbooks.drift.web.live import Live, TooManyStreams

if TYPE_CHECKING:
    from runbooks.drift.web.render import Templates

JSON = "application/json"
AS_HTML = "html"


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


def prefers_json(accept: str) -> bool:
    """Whether a client names JSON and no HTML, or JSON before it."""
    names = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return JSON in names and ("text/html" not in names or names.index(JSON) < names.index("text/html"))


def answer_json(seen: dict[str, Any]) -> Response:
    """What was seen, as JSON."""
    response = json_response(seen)
    response.headers["Vary"] = "Accept"
    return response


def answer_events(live: Live, request: Request) -> Response:
    """What is seen from now on. With ``?as=html`` as the page's own part."""
    form = AS_HTML if request.query_params.get("as") == AS_HTML else JSON
    try:
        stream = live.stream(form)
    except TooManyStreams:
        raise HTTPException(503, "503: Too many are watching. Ask /status.json", {"Retry-After": "5"}) from None
    # Proxies must neither keep nor gather what comes bit by bit.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
    return EventStream(stream, headers=headers)


def live_part(templates: Templates, seen: dict[str, Any]) -> str:
    """The part of the page that changes."""
    apis = [process for process in seen["processes"] if process["role"] == "api"]
    # One title, one reason and one cure for all values that one process holds wrongly.
    findings = [list(alike) for _, alike in groupby(seen["findings"], key=itemgetter("id", "pid", "cure"))]
    return templates.render(
        "_board.html", seen=seen, findings=findings, apis=apis, workers=workers_of(seen["processes"])
    )
