"""`/ws`: the WebSocket."""

from __future__ import annotations

import json
import uuid
from typing import Any

from aiohttp import WSMsgType, web

from runbooks.kernie.accesslog import SWITCHING_PROTOCOLS, peer, write_line
from runbooks.kernie.answers import mock_of
from runbooks.kernie.mock import Mock
from runbooks.kernie.websocket import Session

ROUTES = web.RouteTableDef()


@ROUTES.get("/ws")
async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Connect a client; `clientId` chooses its id, the same id again takes over."""
    mock = mock_of(request)
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    if mock.options.log:
        write_line(f'INFO:     {peer(request)} - "WebSocket {request.raw_path}" [accepted]')
    # At once: who looks while the socket is open wants to see it. The middleware leaves sockets out.
    mock.journal.note(request.method, request.path, request.query_string, None, SWITCHING_PROTOCOLS, 0.0)
    session = Session(request.query.get("clientId") or uuid.uuid4().hex, socket)
    mock.sessions.add(session)
    try:
        _greet(mock, session)
        await _listen(mock, session)
    finally:
        mock.sessions.remove(session)
        await session.close()
    return socket


def _greet(mock: Mock, session: Session) -> None:
    """Tell the state, and what runs if it is the client's own prompt."""
    session.tell("status", {"status": mock.queue_info(), "sid": session.sid})
    executor = mock.executor
    if executor.client == session.sid and executor.current_node is not None:
        session.tell("executing", {"node": executor.current_node})


async def _listen(mock: Mock, session: Session) -> None:
    """The first message that is an object may say what the client can do; all else is ignored."""
    first = True
    async for message in session.socket:
        if not first or message.type is not WSMsgType.TEXT:
            continue
        said = _parsed(message.data)
        if said is None:
            continue
        first = False
        features = said.get("data")
        if said.get("type") == "feature_flags":
            session.features = features if isinstance(features, dict) else {}
            session.tell("feature_flags", mock.features())


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
