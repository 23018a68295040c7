"""Adopt reports in a FastAPI application: two lines, and it says what it runs with, and shows what all others do.

from runbooks.drift.fastapi import report_settings

report_settings(app, get_settings, name="shop")
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from runbooks.drift.adapters import Source, look
from runbooks.drift.pulse import EventLoop, Pulse
from runbooks.drift.report import Role
from runbooks.drift.reporter import EVERY, Identity, Reporter
from runbooks.drift.reports import redis_address


def report_settings(
    app: FastAPI,
    source: Source,
    *,
    name: str,
    redis_url: str | None = None,
    version: str | None = None,
    every: float = EVERY,
) -> None:
    """Have every process that serves an application report the settings that it really uses.

    Args:
        app: the application; not yet started.
        source: the function that requests get their settings with (it is called every few seconds, from another
            thread; a cached one only after the application has called it), or the settings: a pydantic model, a
            dataclass, an object or a dict.
        name: under which the application reports; API and worker use the same.
        redis_url: where reports are kept; by default what the settings, or else the environment, call
            ``celery_broker_url``, ``broker_url`` or ``redis_url``.
        version: of the application.
        every: seconds between two words of a process.
    """
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(served: Any) -> AsyncIterator[Any]:
        async with inner(served) as state:
            reporter = Reporter(source, Identity(name, Role.API, every, version), redis_url or find_redis(source))
            pulse = Pulse(reporter.beat, EventLoop(asyncio.get_running_loop()), every)
            pulse.start()
            try:
                yield state
            finally:
                await asyncio.to_thread(_end, pulse, reporter)

    app.router.lifespan_context = lifespan


def find_redis(source: Source) -> str | None:
    """The Redis server that the settings name as their broker, or else the environment does; None when neither does."""
    found: dict[str, str] = {}
    try:
        snapshot = look(source)
    except Exception:  # the application's own getter; it will say so itself
        snapshot = None
    held = {each.key: each.value for each in snapshot.held} if snapshot else {}
    for values in (os.environ, held):
        found |= {key.replace("-", "_").lower(): value for key, value in values.items()}
    names = ("celery_broker_url", "broker_url", "redis_url")
    return next((url for key in names if (url := redis_address(found.get(key)))), None)


def _end(pulse: Pulse, reporter: Reporter) -> None:
    pulse.stop()
    reporter.leave()
