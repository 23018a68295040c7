"""What stands before an ASGI application: it is asked before the start whether that may be, and before each request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from runbooks.drift.following import Follower
from runbooks.errors import UserError


class Gate:
    """Middleware. A refused start is told to the server as the protocol has it, and so ends without a traceback.

    It holds no settings: an answer that streams for hours shall not keep those it began with.
    """

    def __init__(self, app: ASGIApp, start: Callable[[], Follower | None]) -> None:
        """Nothing is asked yet.

        Args:
            app: what stands behind it.
            start: called in a thread before the application starts. Raises ``UserError`` when it shall not; returns
                what each request begins with a look at.
        """
        self._app, self._start = app, start
        self._follower: Follower | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask, or let pass."""
        if scope["type"] != "lifespan":
            if self._follower is not None:
                self._follower.look_if_due()
        elif why := await asyncio.to_thread(self._why_not):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": why})
            return
        await self._app(scope, receive, send)

    def _why_not(self) -> str | None:
        try:
            self._follower = self._start()
        except UserError as error:
            return str(error)
        return None
