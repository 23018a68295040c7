"""The routes of an application itself, which win over ours of the same path."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import FastAPI, routing
from starlette.routing import BaseRoute


def has_another(app: FastAPI, path: str, ours: Collection[BaseRoute]) -> bool:
    """Whether an application has a route of that very path beside ours."""
    routes = [route for route in app.router.routes if all(route is not each for each in ours)]
    # To newer versions of FastAPI an included router is one route; they tell its parts like this.
    parts = getattr(routing, "iter_route_contexts", iter)(routes)
    return any(getattr(part, "path", None) == path for part in parts)
