"""The status page in somebody else's FastAPI application."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, params
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from runbooks.drift.health import Watch
from runbooks.drift.ownroutes import has_another
from runbooks.drift.web.answers import AS_HTML, JSON, answer_events, answer_json, live_part, prefers_json
from runbooks.drift.web.board import Board, nobody_keeps
from runbooks.drift.web.findings import Words
from runbooks.drift.web.live import Live
from runbooks.drift.web.stopping import server_is_stopping
from runbooks.errors import UserError

if TYPE_CHECKING:
    from runbooks.drift.web.render import Templates

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
FILES = tuple(sorted(file.name for file in STATIC.iterdir()))
NO_JINJA = "The page needs Jinja2. Install it: pip install 'genonaut-runbooks[status]'. The same as JSON: {}.json\n"


class StatusPage:
    """The routes of one application's status page. An application's own route of its path wins over all of them."""

    def __init__(
        self,
        app: FastAPI,
        path: str,
        name: str,
        watch: Callable[[], tuple[str, Watch] | None],
        *,
        has_files: bool,
        needs_worker: bool,
        dependencies: Sequence[params.Depends] = (),
    ) -> None:
        """Put the routes in front of the application's.

        Args:
            app: the application.
            path: of the page.
            name: under which the application reports.
            watch: the Redis server that keeps the reports, and what looks at them; None as long as none is named.
            has_files: whether processes are compared with what one would get that is started now.
            needs_worker: whether it is a problem that no worker reports.
            dependencies: what is asked before the page is shown, beside the application's own.

        Raises:
            UserError: it cannot stand there.
        """
        if not path.startswith("/") or not path.strip("/"):
            raise UserError(f"The status page cannot stand at {path!r}.", "Name a path such as /status, or None.")
        self._app, self._path, self._name, self._watch = app, path.rstrip("/"), name, watch
        self._has_files, self._needs_worker = has_files, needs_worker
        self._env_target = os.environ.get("ENV_TARGET")
        self._board: Board | None = None
        self._live: Live | None = None
        self._lock = Lock()
        answers: dict[str, Callable[..., Any]] = {
            "": self.page,
            ".json": self.json,
            "/events": self.events,
            "/static/{file}": self.static,
        }
        asked = [*app.router.dependencies, *dependencies]
        self._routes = [
            _Ours(self, self._path + more, endpoint, methods=["GET"], include_in_schema=False, dependencies=asked)
            for more, endpoint in answers.items()
        ]
        for route in self._routes:
            route.dependency_overrides_provider = app
        # In front: an application that serves one page for whatever path would hide this one.
        app.router.routes[:0] = self._routes

    @property
    def is_hidden(self) -> bool:
        """Whether the application has a route of that path itself."""
        return has_another(self._app, self._path, self._routes)

    def begin(self) -> None:
        """Say once, when the application starts, that its own page is served and not this one."""
        if self.is_hidden:
            logger.warning(
                "%s is the application's own, so the status page is not served. Give report_settings another path with "
                "status=, or None.",
                self._path,
            )

    def end(self) -> None:
        """End all streams and close the connections, when the application ends."""
        with self._lock:
            board, self._board = self._board, None
            live, self._live = self._live, None
        if live is not None:
            live.end()
        if board is not None:
            board.close()

    def page(self, request: Request) -> Response:
        """The page, or JSON for who would rather have that."""
        if prefers_json(request.headers.get("accept", "")):
            return self.json()
        try:
            templates = self._templates
        except ModuleNotFoundError as error:
            if error.name not in ("jinja2", "markupsafe"):
                raise
            return PlainTextResponse(NO_JINJA.format(self._path), 503)
        from runbooks.drift.web.render import html

        seen = self._look()
        return html(templates.render("board.html", seen=seen, part=live_part(templates, seen)), Vary="Accept")

    def json(self) -> Response:
        """What the page shows, as JSON. HTTP 200 whatever the status is: it is here to be read."""
        return answer_json(self._look())

    async def events(self, request: Request) -> Response:
        """What the page shows, as server-sent events."""
        if self._live is None:
            forms = {
                JSON: lambda seen: to_json(seen).decode(),
                AS_HTML: lambda seen: json.dumps(live_part(self._templates, seen)),
            }
            self._live = Live(self._look, forms, is_over=server_is_stopping)
        return answer_events(self._live, request)

    def static(self, file: str) -> Response:
        """What the page loads."""
        if file not in FILES:
            return PlainTextResponse("Not found\n", 404)
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return FileResponse(STATIC / file, headers=headers)

    @cached_property
    def _templates(self) -> Templates:
        from runbooks.drift.web.render import Templates

        # As seen from the page itself, wherever a proxy or another application has put it.
        at = self._path.rpartition("/")[2]
        return Templates(
            name=self._name,
            static=f"{at}/static",
            at=at,
            needs_worker=self._needs_worker,
            has_files=self._has_files,
            held=("settings", "stale"),
        )

    def _look(self) -> dict[str, Any]:
        with self._lock:
            if self._board is None and (found := self._watch()) is not None:
                url, watch = found
                words = Words(needs_worker=self._needs_worker)
                self._board = Board(self._name, url, watch, words, self._env_target, has_files=self._has_files)
            board = self._board
        return board.look() if board is not None else nobody_keeps(self._name, self._env_target)


class _Ours(APIRoute):
    def __init__(self, page: StatusPage, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self._page = page
        super().__init__(path, endpoint, response_model=None, **options)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found, child = super().matches(scope)
        if found is not Match.NONE and self._page.is_hidden:
            return Match.NONE, {}
        return found, child
