"""What stands before an ASGI application: it is asked before the start whether that may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from runbooks.errors import UserError


class Gate:
    """Middleware. A refused start is told to the server as the protocol has it, and so ends without a traceback."""

    def __init__(self, app: ASGIApp, check: Callable[[], None]) -> None:
        """Nothing is asked yet.

        Args:
            app: what stands behind it.
            check: raises ``UserError`` when the application shall not start. Called in a thread.
        """
        self._app, self._check = app, check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask, or let pass."""
        if scope["type"] == "lifespan" and (why := await asyncio.to_thread(self._why_not)):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": why})
            return
        await self._app(scope, receive, send)

    def _why_not(self) -> str | None:
        try:
            self._check()
        except UserError as error:
            return str(error)
        return None
