"""Adopt reports in a FastAPI application: two lines, and it says what it runs with, and shows what all others do.

from runbooks.drift.fastapi import report_settings

report_settings(app, get_settings, name="shop")
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response, params

from runbooks.drift.adapters import Held, Snapshot, Source, check_source, look
from runbooks.drift.answering import health_response, json_response
from runbooks.drift.atstart import WarnsOnce
from runbooks.drift.following import Follower, follow
from runbooks.drift.gate import Gate
from runbooks.drift.health import Status, View, Watch
from runbooks.drift.healthjson import checks_of, wants_health_json
from runbooks.drift.probes import Probes, serve_probes
from runbooks.drift.pulse import EventLoop, Pulse
from runbooks.drift.reading import first_held, read_anew
from runbooks.drift.report import Role
from runbooks.drift.reporter import EVERY, Identity, Reporter
from runbooks.drift.reports import redis_address
from runbooks.drift.startcheck import check_strictly
from runbooks.drift.strict import is_strict
from runbooks.drift.web.board import NOBODY_KEEPS
from runbooks.drift.web.mounting import StatusPage

_PROBES = Probes()


def report_settings(
    app: FastAPI,
    source: Source,
    *,
    name: str,
    redis_url: str | None = None,
    version: str | None = None,
    now: Callable[[], Any] | None = None,
    path: str | None = "/health/configuration",
    status: str | None = "/status",
    dependencies: Sequence[params.Depends] = (),
    probes: Probes | None = _PROBES,
    every: float = EVERY,
    warn: bool = True,
    switches: bool = True,
    files: Iterable[str | Path] | None = None,
) -> None:
    """Have every process that serves an application report the settings that it really uses, and show what all report.

    ``GET /health/configuration`` lists all processes of the application, workers included, with their settings and
    whether they agree; as ``application/health+json`` where a client accepts that. Drift is a warning and HTTP 200.

    Args:
        app: the application; not yet started.
        source: the function that requests get their settings with (it is called every few seconds, from another
            thread; a cached one only after the application has called it), or the settings: a pydantic model, a
            dataclass, an object or a dict.
        name: under which the application reports; API and worker use the same.
        redis_url: where reports are kept; by default what the settings, or else the environment, call
            ``celery_broker_url``, ``broker_url`` or ``redis_url``.
        version: of the application.
        now: reads the settings anew without keeping them, such as the class of ``pydantic-settings`` itself. Then
            processes are compared with what one would get that is started now, and not only with each other.
        path: where that is served; None for nowhere.
        status: where the status page is: the same for people, live, with what to do; JSON and events are beside it.
            None for nowhere. Where the application has a route of that path itself, its own is served.
        dependencies: what is asked before one of the two is shown, such as ``[Depends(login)]``, beside the
            application's own.
        probes: what else is answered to whoever supervises the application, ``/livez`` and ``/readyz`` by default; None
            for nothing.
        every: seconds between two words of a process.
        warn: whether a process logs, once it holds its settings, in what the processes disagree.
        switches: whether ``STRICT_CONFIG`` and ``CONFIG_RELOAD`` count; not where the application sees to them itself.
        files: what ``source`` reads, for ``CONFIG_RELOAD=on-change``; by default the env and secret files of its
            ``pydantic-settings``.

    Raises:
        UserError: the source is the class of pydantic settings, or the status page cannot stand there.
    """
    check_source(source)

    def watch() -> tuple[str, Watch] | None:
        url = redis_url or find_redis(source)
        return (url, _watch(url, name, now)) if url else None

    page = None
    if status is not None:
        needs_worker = probes is not None and probes.needs_worker
        has_files = now is not None
        page = StatusPage(
            app, status, name, watch, has_files=has_files, needs_worker=needs_worker, dependencies=dependencies
        )
    inner = app.router.lifespan_context
    switched = _Switched(source, name, redis_url, now, files)

    @asynccontextmanager
    async def lifespan(served: Any) -> AsyncIterator[Any]:
        async with inner(served) as state:
            url = redis_url or find_redis(source)
            reporter = Reporter(switched.look, Identity(name, Role.API, every, version), url)
            pulse = Pulse(
                WarnsOnce(reporter, url) if warn else reporter.beat, EventLoop(asyncio.get_running_loop()), every
            )
            pulse.start()
            if page is not None:
                page.begin()
            try:
                yield state
            finally:
                if page is not None:
                    page.end()
                await asyncio.to_thread(_end, pulse, reporter)

    app.router.lifespan_context = lifespan
    if switches:
        app.add_middleware(Gate, start=switched.start)
    if probes is not None:
        serve_probes(app, probes, name, lambda: redis_url or find_redis(source), version)
    if path is not None:
        _serve(app, path, name, watch, dependencies)


@dataclass
class _Switched:
    """What the switches in the environment make of an application's settings."""

    source: Source
    name: str
    redis_url: str | None
    now: Callable[[], Any] | None
    files: Iterable[str | Path] | None
    follower: Follower | None = None

    def start(self) -> Follower | None:
        """Before the application starts.

        Raises:
            UserError: it shall not.
        """
        self.follower = follow(self.source, self.files)
        if is_strict():
            check_strictly(self.source, self.name, lambda held: self.redis_url or _redis_of(held), self.now)
        return self.follower

    def look(self) -> Snapshot | None:
        """What the application holds."""
        return look(self.source) if self.follower is None else self.follower.snapshot()


def _watch(url: str, name: str, now: Callable[[], Any] | None) -> Watch:
    files = None if now is None else partial(read_anew, now)
    return Watch(url, name, env_target=os.environ.get("ENV_TARGET"), files=files, needs_worker=False)


def _serve(
    app: FastAPI,
    path: str,
    name: str,
    watch: Callable[[], tuple[str, Watch] | None],
    dependencies: Sequence[params.Depends],
) -> None:
    known: list[Watch] = []

    @app.get(path, include_in_schema=False, dependencies=dependencies)
    def configuration(request: Request) -> Response:
        """What every process of the application runs with, and whether they agree."""
        if not known and (found := watch()) is not None:
            known.append(found[1])
        view = known[0].look() if known else View(Status.WARN, "", broker=NOBODY_KEEPS)
        if wants_health_json(request.headers.get("accept", "")):
            return health_response(request, checks_of(view), serviceId=name)
        return json_response(view.as_json())


def find_redis(source: Source) -> str | None:
    """The Redis server that the settings name as their broker, or else the environment does; None when neither does.

    Where the application has not read its settings yet, and the environment names none, they are read once beside its
    cache.
    """
    for read in (look, first_held):
        try:
            snapshot = read(source)
        except Exception:  # the application's own getter; it will say so itself
            snapshot = None
        if url := _redis_of(snapshot.held if snapshot else ()):
            return url
    return None


def _redis_of(settings: Iterable[Held]) -> str | None:
    found: dict[str, str] = {}
    for values in (os.environ, {each.key: each.value for each in settings}):
        found |= {key.replace("-", "_").lower(): value for key, value in values.items()}
    names = ("celery_broker_url", "broker_url", "redis_url")
    return next((url for key in names if (url := redis_address(found.get(key)))), None)


def _end(pulse: Pulse, reporter: Reporter) -> None:
    pulse.stop()
    reporter.leave()
