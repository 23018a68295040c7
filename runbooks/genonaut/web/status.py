"""``/status``: which services run, where, since when and with which configuration, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic_core import to_json

from runbooks.drift.web.answers import AS_HTML, JSON, EventStream, answer_events, answer_json, live_part, prefers_json
from runbooks.drift.web.live import Live
from runbooks.drift.web.render import html
from runbooks.genonaut.web.board import Board
from runbooks.genonaut.web.render import render, templates

router = APIRouter()


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
    return html(render("board.html", seen=seen, part=_live_part(seen)), Vary="Accept")


@router.get("/status.json")
def status_json(request: Request) -> Response:
    """What the status page shows, as JSON.

    HTTP 200 whatever the status is: it is here to be read, ``/readyz`` to be probed.
    """
    return answer_json(_look(request))


@router.get("/status/events", response_class=EventStream)
async def status_events(request: Request) -> Response:
    """What the status page shows, as server-sent events: one at once, one for each change, one every two seconds.

    A change is sent within half a second. The data of an event ``status`` is that of ``/status.json``; with
    ``?as=html`` it is the page's own part of HTML, as a JSON string.
    """
    live: Live = request.app.state.live
    return answer_events(live, request)


def _look(request: Request) -> dict[str, Any]:
    board: Board = request.app.state.board
    return board.look(request.app.state.store)


def _live_part(seen: dict[str, Any]) -> str:
    return live_part(templates(), seen)
