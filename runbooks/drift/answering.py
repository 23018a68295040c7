"""Answers of an application about itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from runbooks.drift.healthjson import MEDIA_TYPE, Check, health_json, status_code, wants_health_json, worst


def json_response(body: Any, status: int = 200, media_type: str = "application/json") -> Response:
    """An answer of this moment, for nobody to keep."""
    # The answer for a thousand processes is large, and FastAPI's own way there is ten times as long.
    return Response(to_json(body), status, media_type=media_type, headers={"Cache-Control": "no-store"})


def health_response(request: Request, checks: Iterable[Check], **more: Any) -> Response:
    """Checks as the draft has them, with its status code: 503 on ``fail``, 200 on ``pass`` and ``warn``.

    Args:
        request: says in ``Accept`` whether the draft's own media type is wanted.
        checks: what was looked at.
        more: further members, such as ``serviceId``.
    """
    checks = list(checks)
    media_type = MEDIA_TYPE if wants_health_json(request.headers.get("accept", "")) else "application/json"
    return json_response(health_json(checks, **more), status_code(worst(checks)), media_type)
