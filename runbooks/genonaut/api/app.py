"""The ASGI application."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError
from starlette.staticfiles import StaticFiles

from runbooks.drift.fastapi import report_settings
from runbooks.genonaut import NAME, VERSION
from runbooks.genonaut.api.following import LookAtTheFiles
from runbooks.genonaut.api.health import router as health_router
from runbooks.genonaut.api.queue import CeleryQueue, JobQueue
from runbooks.genonaut.api.routes import router
from runbooks.genonaut.health import files_now, make_watch
from runbooks.genonaut.holding import settings_in_use
from runbooks.genonaut.startcheck import check_at_start, check_beside
from runbooks.genonaut.store import JobStore, prepare
from runbooks.genonaut.web.board import Board
from runbooks.genonaut.web.generate import router as generate_router
from runbooks.genonaut.web.render import STATIC
from runbooks.genonaut.web.status import make_live
from runbooks.genonaut.web.status import router as status_router
from runbooks.settings import current_settings, reloader

logger = logging.getLogger(__name__)


def create_app(store: JobStore | None = None, queue: JobQueue | None = None) -> FastAPI:
    """The API with the settings of this process, or with a store and a queue that the caller brings.

    ``/openapi.json`` is served; the documentation pages that FastAPI makes of it are not, as they load from another
    host.

    Raises:
        UserError: the settings cannot be read, the job store cannot be used, or ``STRICT_CONFIG=1`` and something is
            wrong with the configuration.
    """
    settings = None
    if store is None:
        settings = current_settings()
        check_at_start(settings)
        prepare(settings.database_url)
        store = JobStore(settings.database_url)
    if queue is None:
        from runbooks.genonaut.worker.queue_app import celery_app

        queue = CeleryQueue(celery_app)

    app = FastAPI(title="Genonaut in miniature", docs_url=None, redoc_url=None, lifespan=_lifespan)
    app.state.store = store
    app.state.queue = queue
    app.state.settings = settings
    files = files_now()
    app.state.watch = make_watch(settings.broker_url, files) if settings else None
    app.state.board = Board(settings, files, app.state.watch, os.environ.get("ENV_TARGET")) if settings else None
    app.include_router(router)
    app.include_router(health_router)
    app.include_router(generate_router)
    app.mount("/static", StaticFiles(directory=STATIC, packages=[("runbooks.drift.web", "static")]), name="static")
    if settings is not None:
        app.state.live = make_live(app)
        app.include_router(status_router)
        report_settings(
            app,
            settings_in_use,
            name=NAME,
            redis_url=settings.broker_url,
            version=VERSION,
            path=None,
            status=None,
            probes=None,
            warn=False,
            switches=False,
        )
    if reloader() is not None:
        app.add_middleware(LookAtTheFiles)
    app.add_exception_handler(RequestValidationError, _request_refused)
    app.add_exception_handler(DataError, _value_refused)
    app.add_exception_handler(DBAPIError, _store_down)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    if app.state.settings is not None:
        check_beside(app.state.settings)
    yield
    app.state.store.close()
    if app.state.watch is not None:
        app.state.watch.close()
        app.state.board.close()


async def _request_refused(_request: Request, error: Exception) -> Response:
    """FastAPI's own answer, also when what it quotes of the request cannot stand in JSON."""
    errors = error.errors() if isinstance(error, RequestValidationError) else ()
    quoted = json.loads(json.dumps(jsonable_encoder(errors)), parse_constant=str)
    text = json.dumps({"detail": quoted}, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "backslashreplace"), 422, media_type="application/json")


async def _value_refused(_request: Request, error: Exception) -> JSONResponse:
    reason = str(error.orig if isinstance(error, DataError) else error).strip()
    return JSONResponse({"detail": f"422: The job store cannot hold that: {reason}"}, 422)


async def _store_down(_request: Request, error: Exception) -> JSONResponse:
    logger.error("The job store failed: %s", error.orig if isinstance(error, DBAPIError) else error)
    return JSONResponse({"detail": "503: The job store does not answer"}, 503)
