"""``CONFIG_RELOAD=on-change`` in the API: every request begins with a look at the settings files, if one is due."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from runbooks.settings import current_settings


class LookAtTheFiles:
    """Middleware. It holds no settings: an answer that streams for hours shall not keep those it began with."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look, and go on."""
        if scope["type"] == "http":
            current_settings()
        await self._app(scope, receive, send)
