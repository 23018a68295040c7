"""WebSocket sessions: who is connected, what each of them is sent, and how much may wait for a slow one."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

from aiohttp import WSCloseCode, web

# A client that leaves this much unread is disconnected: the mock's memory stays bounded.
MAX_WAITING_MESSAGES = 5000
MAX_WAITING_BYTES = 32 * 1024 * 1024

Message = str | bytes


class Session:
    """One connected client."""

    def __init__(self, sid: str, socket: web.WebSocketResponse) -> None:
        self.sid = sid
        self.socket = socket
        self.features: dict[str, Any] = {}
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._sender = asyncio.create_task(self._send_waiting())

    def put(self, message: Message) -> None:
        """Queue a message. A client that has stopped reading is disconnected."""
        self._waiting.append(message)
        self._bytes += len(message)
        if len(self._waiting) > MAX_WAITING_MESSAGES or self._bytes > MAX_WAITING_BYTES:
            self.drop()
        else:
            self._wake.set()

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Queue a JSON message."""
        self.put(json.dumps({"type": event, "data": data}))

    def drop(self) -> None:
        """Cut the connection without a goodbye."""
        self._sender.cancel()
        self._waiting.clear()
        self._bytes = 0
        writer = getattr(self.socket, "_writer", None)
        transport = getattr(writer, "transport", None)
        if transport is not None:
            transport.abort()

    async def close(self) -> None:
        """Say goodbye, give up after a moment."""
        self._sender.cancel()
        try:
            async with asyncio.timeout(0.5):
                await self.socket.close(code=WSCloseCode.GOING_AWAY, drain=False)
        except (TimeoutError, ConnectionError):
            self.drop()

    async def _send_waiting(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    message = self._waiting.popleft()
                    self._bytes -= len(message)
                    if isinstance(message, str):
                        await self.socket.send_str(message)
                    else:
                        await self.socket.send_bytes(message)
        except (ConnectionError, RuntimeError):
            self._waiting.clear()


class Sessions:
    """All connected clients, by id."""

    def __init__(self) -> None:
        self._by_id: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def add(self, session: Session) -> None:
        """Add a session; the same id again takes the place of the earlier one."""
        self._by_id[session.sid] = session

    def remove(self, session: Session) -> None:
        """Forget a session, unless its id belongs to a newer one by now."""
        if self._by_id.get(session.sid) is session:
            del self._by_id[session.sid]

    def all(self) -> list[Session]:
        """Every session."""
        return list(self._by_id.values())

    def addressed(self, sid: object) -> list[Session]:
        """The session of an id, or all of them for None."""
        if sid is None:
            return self.all()
        found = self._by_id.get(sid) if isinstance(sid, str) else None
        return [found] if found else []

    def send(self, event: str, data: dict[str, Any], sid: object = None) -> None:
        """Send a JSON message to one client, or to all."""
        receivers = self.addressed(sid)
        if receivers:
            text = json.dumps({"type": event, "data": data})
            for session in receivers:
                session.put(text)

    def send_bytes(self, frame: bytes, sid: object = None) -> None:
        """Send a binary frame to one client, or to all."""
        for session in self.addressed(sid):
            session.put(frame)

    def has_feature(self, sid: object, feature: str) -> bool:
        """True if the client said that it can do this. Nobody in particular can do nothing."""
        found = self.addressed(sid) if sid is not None else []
        return bool(found and found[0].features.get(feature))
