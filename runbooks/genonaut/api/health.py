"""How the API is: for people, for pages, and for the probes of what supervises it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import DBAPIError

from runbooks.drift import redact_text
from runbooks.drift.answering import health_response, json_response
from runbooks.drift.health import Status, View, Watch
from runbooks.drift.healthjson import Check, checks_of, wants_health_json
from runbooks.genonaut import NAME, VERSION
from runbooks.genonaut.health import SHOWN, with_comfyui
from runbooks.genonaut.store import JobStore
from runbooks.genonaut.tables import utc_now

router = APIRouter()


@dataclass(frozen=True)
class _Database:
    error: str | None

    @property
    def check(self) -> Check:
        status = Status.PASS if self.error is None else Status.FAIL
        return Check("database:connection", status, self.error or "", "datastore")


@router.get("/api/v1/health")
def health(request: Request) -> Response:
    """The job store, and what every process runs with.

    As plain JSON it is HTTP 200 even when unhealthy, and the first four members, which ask about the job store alone,
    are those of the real API. With ``Accept: application/health+json`` it is the draft's format, and its rule: 503
    when the job store or the broker does not answer. Drift is a warning, and 200.
    """
    database, view = _ask_database(request), _look(request)
    if wants_health_json(request.headers.get("accept", "")):
        return _answer(request, _checks(database, view), description="The API, and what every process runs with")
    body: dict[str, Any] = {
        "status": "healthy" if database.error is None else "unhealthy",
        "database": {"status": "connected" if database.error is None else "disconnected"},
        "timestamp": utc_now().isoformat(timespec="microseconds"),
        "error": database.error,
    }
    return json_response(body | (_configuration(view) if view else {}))


@router.get("/livez")
async def live(request: Request) -> Response:
    """Whether this process answers at all. Says nothing of what it needs: a restart would not bring that back."""
    return _answer(request, [])


@router.get("/readyz")
def ready(request: Request) -> Response:
    """Whether a job can be taken: 503 when the job store or the broker does not answer.

    A stale worker, or none, leaves it ready: taking the API out of service would cure neither.
    """
    return _answer(request, [*_checks(_ask_database(request), _look(request))])


def _checks(database: _Database, view: View | None) -> Iterable[Check]:
    yield database.check
    if view is not None:
        yield from checks_of(view, SHOWN)


def _answer(request: Request, checks: Iterable[Check], **more: Any) -> Response:
    return health_response(request, checks, serviceId=NAME, releaseId=VERSION, **more)


def _ask_database(request: Request) -> _Database:
    store: JobStore = request.app.state.store
    try:
        store.check()
    except DBAPIError as error:
        return _Database(redact_text(str(error.orig).strip()))
    return _Database(None)


def _look(request: Request) -> View | None:
    watch: Watch | None = request.app.state.watch
    return watch.look() if watch is not None else None


def _configuration(view: View) -> dict[str, Any]:
    """The members that come after the recorded ones, with the ComfyUI of each process where one looks first."""
    return view.as_json(SHOWN, with_comfyui)
