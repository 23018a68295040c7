"""``/status``: which services run, where, since when and with which configuration, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json

from runbooks.drift.answering import json_response
from runbooks.genonaut.web.board import Board
from runbooks.genonaut.web.live import Live, TooManyStreams
from runbooks.genonaut.web.render import html, render

router = APIRouter()
JSON = "application/json"
AS_HTML = "html"


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


def make_live(app: FastAPI) -> Live:
    """The streams of an application."""

    def look() -> dict[str, Any]:
        board: Board = app.state.board
        return board.look(app.state.store)

    return Live(look, {JSON: lambda seen: to_json(seen).decode(), AS_HTML: lambda seen: json.dumps(_live_part(seen))})


@router.get("/status", include_in_schema=False)
def status_page(request: Request) -> Response:
    """The page: whole as it is sent, and followed live where scripts run. JSON for who would rather have that."""
    if prefers_json(request.headers.get("accept", "")):
        return status_json(request)
    seen = _look(request)
    return html(render("status.html", seen=seen, part=_live_part(seen)), Vary="Accept")


@router.get("/status.json")
def status_json(request: Request) -> Response:
    """What the status page shows, as JSON.

    HTTP 200 whatever the status is: it is here to be read, ``/readyz`` to be probed.
    """
    response = json_response(_look(request))
    response.headers["Vary"] = "Accept"
    return response


@router.get("/status/events", response_class=EventStream)
async def status_events(request: Request) -> Response:
    """What the status page shows, as server-sent events: one at once, one for each change, one every two seconds.

    A change is sent within half a second. The data of an event ``status`` is that of ``/status.json``; with
    ``?as=html`` it is the page's own part of HTML, as a JSON string.
    """
    live: Live = request.app.state.live
    form = AS_HTML if request.query_params.get("as") == AS_HTML else JSON
    try:
        stream = live.stream(form)
    except TooManyStreams:
        raise HTTPException(503, "503: Too many are watching. Ask /status.json", {"Retry-After": "5"}) from None
    # Proxies must neither keep nor gather what comes bit by bit.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
    return EventStream(stream, headers=headers)


def prefers_json(accept: str) -> bool:
    """Whether a client names JSON and no HTML, or JSON before it."""
    names = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return JSON in names and ("text/html" not in names or names.index(JSON) < names.index("text/html"))


def _look(request: Request) -> dict[str, Any]:
    board: Board = request.app.state.board
    return board.look(request.app.state.store)


def _live_part(seen: dict[str, Any]) -> str:
    apis = [process for process in seen["processes"] if process["role"] == "api"]
    # One title, one reason and one cure for all values that one process holds wrongly.
    findings = [list(alike) for _, alike in groupby(seen["findings"], key=itemgetter("id", "pid", "cure"))]
    return render("_status.html", seen=seen, findings=findings, apis=apis, workers=workers_of(seen["processes"]))


def workers_of(processes: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any] | None, list[dict[str, Any]]]]:
    """Main processes with their pool children; children whose main process says nothing any more come last."""
    processes = list(processes)
    children = sorted((each for each in processes if each["role"] == "pool child"), key=_parent)
    families = {parent: list(found) for parent, found in groupby(children, key=_parent)}
    mains = [each for each in processes if each["role"] == "worker main"]
    found = [(main, families.pop((main["host"], main["pid"]), [])) for main in mains]
    return [*found, *((None, orphans) for orphans in families.values())]


def _parent(child: dict[str, Any]) -> tuple[str, int]:
    return child["host"], child["parent"]
