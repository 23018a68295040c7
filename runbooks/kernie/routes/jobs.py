"""`/api/jobs`: prompts as jobs. These routes exist under /api only."""

from __future__ import annotations

import json

from aiohttp import web

from runbooks.kernie.answers import json_answer, json_body, mock_of
from runbooks.kernie.jobs import STATES, find_job, find_jobs, page_of
from runbooks.kernie.mock import Mock
from runbooks.kernie.queue import is_canonical_id

ROUTES = web.RouteTableDef()


class _Refused(Exception):  # noqa: N818 - carries the answer, is no error of ours
    """What is wrong with the query."""


@ROUTES.get("/api/jobs")
async def list_jobs(request: web.Request) -> web.Response:
    """Jobs by `status`, `workflow_id`, `sort_by`, `sort_order`, `limit`, `offset`."""
    query = request.query
    try:
        states = _states(query.get("status"))
        sort_by = query.get("sort_by", "created_at").lower()
        if sort_by not in ("created_at", "execution_duration"):
            raise _Refused("sort_by must be 'created_at' or 'execution_duration'")
        order = query.get("sort_order", "desc").lower()
        if order not in ("asc", "desc"):
            raise _Refused("sort_order must be 'asc' or 'desc'")
        limit = _whole("limit", query.get("limit"))
        if limit is not None and limit <= 0:
            raise _Refused("limit must be a positive integer")
        offset = max(_whole("offset", query.get("offset")) or 0, 0)
    except _Refused as refused:
        return json_answer({"error": str(refused)}, 400)
    found = find_jobs(mock_of(request).queue, states, query.get("workflow_id"))
    page = page_of(found, sort_by, descending=order == "desc", offset=offset, limit=limit)
    more = offset + len(page) < len(found)
    pagination = {"offset": offset, "limit": limit, "total": len(found), "has_more": more}
    return json_answer({"jobs": page, "pagination": pagination})


def _states(wish: str | None) -> set[str]:
    if not wish:
        return set(STATES)
    states = [state.strip().lower() for state in wish.split(",") if state.strip()]
    wrong = [state for state in states if state not in STATES]
    if wrong:
        raise _Refused(f"Invalid status value(s): {', '.join(wrong)}. Valid values: {', '.join(STATES)}")
    return set(states)


def _whole(name: str, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        raise _Refused(f"{name} must be an integer") from None


@ROUTES.get("/api/jobs/{job_id}")
async def one_job(request: web.Request) -> web.Response:
    """One job in detail."""
    job = find_job(mock_of(request).queue, request.match_info["job_id"])
    return json_answer({"error": "Job not found"}, 404) if job is None else json_answer(job)


@ROUTES.post("/api/jobs/cancel")
async def cancel_several(request: web.Request) -> web.Response:
    """Cancel each of `job_ids`."""
    try:
        body = await json_body(request)
    except json.JSONDecodeError:
        return json_answer({"error": "Request body must be valid JSON"}, 400)
    ids = body.get("job_ids") if isinstance(body, dict) else None
    if not isinstance(ids, list):
        return json_answer({"error": "job_ids must be a list"}, 400)
    wrong = [each if isinstance(each, str) else repr(each) for each in ids if not is_canonical_id(each)]
    if wrong:
        return json_answer({"error": "job_ids contains invalid id(s)", "invalid_ids": wrong}, 400)
    done = [_cancel(mock_of(request), each) for each in ids]
    return json_answer({"cancelled": any(done)})


@ROUTES.post("/api/jobs/{job_id}/cancel")
async def cancel(request: web.Request) -> web.Response:
    """Cancel a job that waits or runs."""
    return json_answer({"cancelled": _cancel(mock_of(request), request.match_info["job_id"])})


def _cancel(mock: Mock, prompt_id: str) -> bool:
    running = mock.queue.running
    if running is not None and running.prompt_id == prompt_id:
        mock.executor.interrupt()
        return True
    return mock.queue.delete(prompt_id)
