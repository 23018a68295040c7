"""Adopt reports in a FastAPI application: two lines, and it says what it runs with, and shows what all others do.

from runbooks.drift.fastapi import report_settings

report_settings(app, get_settings, name="shop")
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

from runbooks.drift.adapters import Held, Snapshot, Source, check_source, look
from runbooks.drift.answering import health_response, json_response
from runbooks.drift.atstart import WarnsOnce
from runbooks.drift.following import Follower, follow
from runbooks.drift.gate import Gate
from runbooks.drift.health import Status, View, Watch
from runbooks.drift.healthjson import checks_of, wants_health_json
from runbooks.drift.probes import Probes, serve_probes
from runbooks.drift.pulse import EventLoop, Pulse
from runbooks.drift.reading import read_anew
from runbooks.drift.report import Role
from runbooks.drift.reporter import EVERY, Identity, Reporter
from runbooks.drift.reports import redis_address
from runbooks.drift.startcheck import check_strictly
from runbooks.drift.strict import is_strict

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
        probes: what else is answered to whoever supervises the application, ``/livez`` and ``/readyz`` by default; None
            for nothing.
        every: seconds between two words of a process.
        warn: whether a process logs, once it holds its settings, in what the processes disagree.
        switches: whether ``STRICT_CONFIG`` and ``CONFIG_RELOAD`` count; not where the application sees to them itself.
        files: what ``source`` reads, for ``CONFIG_RELOAD=on-change``; by default the env and secret files of its
            ``pydantic-settings``.

    Raises:
        UserError: the source is the class of pydantic settings.
    """
    check_source(source)
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
            try:
                yield state
            finally:
                await asyncio.to_thread(_end, pulse, reporter)

    app.router.lifespan_context = lifespan
    if switches:
        app.add_middleware(Gate, start=switched.start)
    if probes is not None:
        serve_probes(app, probes, name, lambda: redis_url or find_redis(source), version)
    if path is not None:
        _serve(app, path, name, lambda: redis_url or find_redis(source), now)


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


def _serve(
    app: FastAPI, path: str, name: str, address: Callable[[], str | None], now: Callable[[], Any] | None
) -> None:
    @cache
    def watch() -> Watch | None:
        url = address()
        files = None if now is None else partial(read_anew, now)
        target = os.environ.get("ENV_TARGET")
        return Watch(url, name, env_target=target, files=files, needs_worker=False) if url else None

    @app.get(path, include_in_schema=False)
    def configuration(request: Request) -> Response:
        """What every process of the application runs with, and whether they agree."""
        found = watch()
        view = found.look() if found else View(Status.WARN, "", broker="No Redis server is named that keeps reports.")
        if wants_health_json(request.headers.get("accept", "")):
            return health_response(request, checks_of(view), serviceId=name)
        return json_response(view.as_json())


def find_redis(source: Source) -> str | None:
    """The Redis server that the settings name as their broker, or else the environment does; None when neither does."""
    try:
        snapshot = look(source)
    except Exception:  # the application's own getter; it will say so itself
        snapshot = None
    return _redis_of(snapshot.held if snapshot else ())


def _redis_of(settings: Iterable[Held]) -> str | None:
    found: dict[str, str] = {}
    for values in (os.environ, {each.key: each.value for each in settings}):
        found |= {key.replace("-", "_").lower(): value for key, value in values.items()}
    names = ("celery_broker_url", "broker_url", "redis_url")
    return next((url for key in names if (url := redis_address(found.get(key)))), None)


def _end(pulse: Pulse, reporter: Reporter) -> None:
    pulse.stop()
    reporter.leave()
