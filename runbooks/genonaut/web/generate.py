"""``/``: ask for a picture, watch its job, see it, or be told in plain words why there is none."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool

from runbooks.drift.web.render import HEADERS, html
from runbooks.genonaut.api.routes import JobId, Queue, Store, take_job
from runbooks.genonaut.api.wire import JobRequest
from runbooks.genonaut.store import DEMO_USER_ID, JobStore
from runbooks.genonaut.tables import Job, JobLine
from runbooks.genonaut.web.board import Board, job_values
from runbooks.genonaut.web.render import render
from runbooks.genonaut.web.words import BROKER_DOWN, NOT_QUEUED, STORE_DOWN, Now, Told

router = APIRouter(include_in_schema=False)

SIZES = ("512x768", "768x512", "512x512", "768x768", "1024x1024")
"""Width and height to choose from, in pixels; the first one is what the API takes without a word."""
PROMPT = "a red fox in snow"
LONGEST_BODY = 64 * 1024
_KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form that this page has sent: one that another site sends is refused."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, "403: That form is not from here")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise HTTPException(413, "413: That is more than a prompt")
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[-1] for name, values in fields.items()}


Form = Annotated[dict[str, str], Depends(_form)]


@router.get("/")
def page(request: Request, store: Store, job: str | None = None) -> Response:
    """The page; with ``?job=N`` it shows how that job stands."""
    if job is None:
        return _page(request)
    try:
        # A person has this in the address bar, and is told so on the page, whatever it is.
        found = store.get(int(job)) if re.fullmatch("[0-9]{1,9}", job) else None
        if found is None:
            return _page(request, 404, problem=f"There is no job {job[:20]}.")
        return _page(request, form=_asked(found), job=_panel_values(request, store, found))
    except DBAPIError:
        return _page(request, 503, told=STORE_DOWN)


@router.post("/")
async def generate(request: Request, form: Form, store: Store, queue: Queue) -> Response:
    """Have a picture made, and go to its job."""
    return await run_in_threadpool(_generate, request, form, store, queue)


@router.get("/jobs/{job_id}/panel")
def panel(request: Request, job_id: JobId, store: Store) -> Response:
    """The part of the page that shows a job."""
    try:
        job = store.get(job_id)
        return html(render("_job.html", job=_panel_values(request, store, job))) if job else html("", 404)
    except DBAPIError:
        return html("", 503)


@router.get("/jobs/{job_id}/picture")
def picture(job_id: JobId, store: Store) -> Response:
    """The picture that a completed job made. Only the worker says where it is, and only pictures are sent."""
    job = store.get(job_id)
    path = safe_picture(store.picture(job_id), job) if job else None
    if path is None:
        return html("There is no such picture.", 404)
    return FileResponse(path[0], media_type=path[1], headers={**HEADERS, "Content-Disposition": "inline"})


def safe_picture(stored: str | None, job: Job) -> tuple[Path, str] | None:
    """A job's picture and its media type; None when it is gone, is no picture, or lies where no worker puts one."""
    if stored is None:
        return None
    try:
        path = Path(stored).resolve(strict=True)
        with path.open("rb") as file:
            head = file.read(12)
    except (OSError, ValueError, RuntimeError):
        return None
    parts = path.parts
    filed = any(pair == ("generations", str(job.user_id)) for pair in pairwise(parts))
    kind = next((kind for sign, kind in _KINDS.items() if head.startswith(sign)), None)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        kind = "image/webp"
    return (path, kind) if filed and kind and path.name.startswith(f"gen_{job.id}_") else None


def _generate(request: Request, form: dict[str, str], store: JobStore, queue: Any) -> Response:
    width, _, height = form.get("size", "").partition("x")
    prompt = form.get("prompt", "").strip()
    if not prompt:
        return _page(request, 422, form=form, problem="Write what the picture shall show.")
    try:
        asked = JobRequest(
            user_id=DEMO_USER_ID,
            job_type="image",
            prompt=prompt,
            width=width,
            height=height,
        )
    except ValidationError as error:
        too_long = any(each["loc"] == ("prompt",) for each in error.errors())
        problem = "The prompt is longer than 10 000 characters." if too_long else "That is no size."
        return _page(request, 422, form=form, problem=problem)
    try:
        job = take_job(asked, store, queue)
    except HTTPException as refused:
        return _page(request, refused.status_code, form=form, told=_why_not(request))
    except DBAPIError:
        return _page(request, 503, form=form, told=STORE_DOWN)
    # 303: who reloads the page asks for no second picture.
    return RedirectResponse(f"/?job={job.id}#job", 303)


def _why_not(request: Request) -> Told:
    board: Board | None = request.app.state.board
    return BROKER_DOWN if board is not None and board.broker_is_down() else NOT_QUEUED


def _asked(job: Job) -> dict[str, str]:
    return {"prompt": job.prompt, "size": f"{job.width}x{job.height}"}


def _panel_values(request: Request, store: JobStore, job: Job) -> dict[str, Any]:
    board: Board | None = request.app.state.board
    line = JobLine(job.id, job.prompt, job.status, job.error_message, job.created_at, job.started_at, job.completed_at)
    ahead = store.count("pending", "running", before=job.id) if job.status == "pending" else {}
    return {
        **job_values(line, board.now() if board is not None and job.status == "failed" else Now()),
        "prompt": job.prompt,
        "ahead": sum(ahead.values()),
        "has_picture": job.status == "completed" and safe_picture(store.picture(job.id), job) is not None,
        "size": (job.width, job.height),
    }


def _page(
    request: Request,
    status: int = 200,
    *,
    form: dict[str, str] | None = None,
    job: dict[str, Any] | None = None,
    problem: str | None = None,
    told: Told | None = None,
) -> Response:
    form = {"prompt": PROMPT, "size": SIZES[0], **(form or {})}
    sizes = SIZES if form["size"] in SIZES else (form["size"], *SIZES)
    return html(
        render(
            "generate.html",
            form=form,
            sizes=sizes,
            job=job,
            problem=problem,
            told=told,
            has_status=request.app.state.board is not None,
        ),
        status,
    )
