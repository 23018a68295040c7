"""Put the mock together as a web application, and run it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from runbooks.kernie.accesslog import SWITCHING_PROTOCOLS, UvicornAccessLogger
from runbooks.kernie.answers import BODY, empty, json_answer
from runbooks.kernie.faults import Fault
from runbooks.kernie.mock import MAX_UPLOAD, MOCK, Mock
from runbooks.kernie.options import Options
from runbooks.kernie.routes import info, jobs, kernie, prompt, queue, root, socket, upload, userdata, view

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Also reachable under /api, as on the real server.
ROUTES = (prompt, queue, info, view, upload, userdata, socket)
LOG = logging.getLogger("kernie-gen")


def _in_one_line(record: logging.LogRecord) -> bool:
    """Malformed requests are answered 500 and are everyday here: their traceback is shown for level DEBUG only."""
    if record.exc_info and record.exc_info[1] is not None and not LOG.isEnabledFor(logging.DEBUG):
        error = record.exc_info[1]
        record.msg = f"{record.getMessage()}: {type(error).__name__}: {error}"
        record.args = record.exc_info = None
    return True


LOG.addFilter(_in_one_line)


def build(options: Options) -> web.Application:
    """The application. Folders are created and the executor is started with it."""
    app = web.Application(middlewares=[journalled], client_max_size=MAX_UPLOAD)
    app.cleanup_ctx.append(lambda app: _running(app, options))
    for room in ROUTES:
        for route in room.ROUTES:
            assert isinstance(route, web.RouteDef)
            for path in (route.path, f"/api{route.path}"):
                web.RouteDef(route.method, path, route.handler, route.kwargs).register(app.router)
    for room in (root, jobs, kernie):
        app.add_routes(room.ROUTES)
    app.router.add_get("/{path:.*}", no_such_file)
    return app


async def _running(app: web.Application, options: Options) -> AsyncIterator[None]:
    mock = app[MOCK] = Mock(options)
    mock.folders.create()
    worker = asyncio.create_task(mock.executor.work())
    yield
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


async def no_such_file(request: web.Request) -> web.StreamResponse:
    """The real server looks here for a file of its frontend. Not found means an empty, chunked 404 there."""
    response = web.StreamResponse(status=404)
    await response.prepare(request)
    return response


@web.middleware
async def journalled(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note what arrived, and let it meet the faults that are switched on."""
    refused = refusal(request)
    if request.path.startswith("/kernie/"):
        return await handler(request) if refused is None else refused
    mock, started, status = request.app[MOCK], time.monotonic(), 500
    BODY.set(None)
    try:
        fault = mock.faults.for_request(request.method, request.path) if mock.faults.active else None
        wanted = await struck(fault, request) if fault is not None else None
        answer = refused if wanted is None else wanted
        response = await handler(request) if answer is None else answer
        status = response.status
    except web.HTTPException as answer:
        status = answer.status
        raise
    finally:
        seconds = time.monotonic() - started
        if status != SWITCHING_PROTOCOLS:
            mock.journal.note(request.method, request.path, request.query_string, BODY.get(), status, seconds)
    return response


async def struck(fault: Fault, request: web.Request) -> web.Response | None:
    """The answer that the fault wants; None for the usual one."""
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    elif fault.kind == "hang":
        await request.app[MOCK].faults.hang()
    elif fault.kind == "refuse":
        if request.transport is not None:
            request.transport.abort()
        raise asyncio.CancelledError
    elif fault.kind == "500":
        return web.Response(status=500, text="500 Internal Server Error\n\nServer got itself in trouble")
    elif fault.kind == "full_queue":
        error = {"type": "queue_full", "message": "The queue is full", "details": "", "extra_info": {}}
        return json_answer({"error": error, "node_errors": {}}, 503)
    return None


def refusal(request: web.Request) -> web.Response | None:
    """403 for what a strange web page makes a browser send to this machine, 200 for OPTIONS, None for all else."""
    headers = request.headers
    if headers.get("Sec-Fetch-Site") == "cross-site":
        return empty(403)
    if "Origin" in headers and "Host" in headers and _is_foreign(headers["Host"], headers["Origin"]):
        return empty(403)
    return empty() if request.method == "OPTIONS" else None


def _is_foreign(host: str, origin: str) -> bool:
    """True if a loopback Host is asked from another Origin. Where one of the two has no port, ports do not count."""
    try:
        asked = urllib.parse.urlsplit("//" + host.lower())
        asking = urllib.parse.urlsplit(origin.lower())
        ports = (asked.port, asking.port)
    except ValueError:
        return True
    if not _is_loopback(asked.hostname) or not asking.hostname:
        return False
    return asked.hostname != asking.hostname or (None not in ports and ports[0] != ports[1])


def _is_loopback(name: str | None) -> bool:
    return name is not None and (name in ("localhost", "::1") or name.startswith("127."))


@contextlib.asynccontextmanager
async def serving(options: Options) -> AsyncIterator[tuple[str, Mock]]:
    """Serve until the block is left; gives the URL and the mock.

    Raises:
        OSError: if the port is taken or the address is not this machine's.
    """
    app = build(options)
    runner = web.AppRunner(
        app,
        access_log_class=UvicornAccessLogger,
        access_log=LOG if options.log else None,
        logger=LOG,
        shutdown_timeout=0.5,
    )
    await runner.setup()
    try:
        # One address, also where the name stands for two: with port 0 they would get different ones.
        address = "127.0.0.1" if options.host == "localhost" else options.host
        site = web.TCPSite(runner, address, options.port, backlog=1024)
        await site.start()
        port = runner.addresses[0][1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        yield f"http://{host}:{port}", app[MOCK]
    finally:
        await asyncio.gather(*(session.close() for session in app[MOCK].sessions.all()))
        await runner.cleanup()
