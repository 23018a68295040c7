"""The calls that pages make."""

from __future__ import annotations

import logging
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, HTTPException, Path, Request

from runbooks.genonaut.api.queue import JobQueue, QueueDownError
from runbooks.genonaut.api.wire import (
    WORKER_DOWN,
    CancelRequest,
    DeletedAnswer,
    JobAnswer,
    JobRequest,
    StatusRequest,
)
from runbooks.genonaut.store import JobStore
from runbooks.genonaut.tables import Job, utc_now

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/api/v1")

# Handlers are plain functions: FastAPI runs them in its thread pool, where waiting for a database or a worker holds up
# nobody else.


def _store(request: Request) -> JobStore:
    store: JobStore = request.app.state.store
    return store


def _queue(request: Request) -> JobQueue:
    queue: JobQueue = request.app.state.queue
    return queue


Store = Annotated[JobStore, Depends(_store)]
Queue = Annotated[JobQueue, Depends(_queue)]
JobId = Annotated[int, Path(ge=0, le=2**31 - 1)]


@router.post("/generation-jobs/", status_code=201, response_model=JobAnswer)
def create_job(body: JobRequest, store: Store, queue: Queue) -> Any:
    """Store a job and queue it. 503, and no job, when no worker answers."""
    return take_job(body, store, queue)


def take_job(body: JobRequest, store: JobStore, queue: JobQueue) -> Job:
    """Store a job and queue it.

    Raises:
        HTTPException: 503 when no worker answers, 404 or 422 when something is wrong with what is asked for. There is
            no job then.
    """
    if not queue.worker_answers():
        raise HTTPException(503, WORKER_DOWN)
    if not store.user_exists(body.user_id):
        raise _refusal(404, f"User with id {body.user_id} not found")
    if not body.prompt.strip():
        raise _refusal(422, "Prompt cannot be empty")
    task_id = str(uuid4())
    job = store.add(**body.columns(), celery_task_id=task_id)
    try:
        queue.put(job.id, task_id)
    except QueueDownError as error:
        logger.warning("Job %s could not be queued: %s", job.id, error)
        store.delete(job.id)
        raise HTTPException(503, WORKER_DOWN) from error
    return job


@router.get("/generation-jobs/{job_id}", response_model=JobAnswer)
def get_job(job_id: JobId, store: Store) -> Any:
    """The job as it stands."""
    return _found(store, job_id)


@router.post("/generation-jobs/{job_id}/cancel", response_model=JobAnswer)
def cancel_job(job_id: JobId, store: Store, queue: Queue, body: CancelRequest | None = None) -> Any:
    """End a job that has not ended. Also frees one that is `running` with nobody working on it."""
    values: dict[str, Any] = {"status": "cancelled", "completed_at": utc_now()}
    if body and body.reason:
        values["error_message"] = f"Cancelled: {body.reason.strip()}"
    job = store.change(job_id, only_from=("pending", "running"), **values)
    if job is None:
        status = _found(store, job_id).status
        raise _refusal(422, f"Cannot cancel job with status '{status}'. Only pending, running jobs can be cancelled.")
    if job.celery_task_id:
        try:
            queue.revoke(job.celery_task_id)
        except QueueDownError as error:
            # The worker looks at the job's status before and while it works, so the job stays cancelled anyway.
            logger.warning("Job %s could not be revoked: %s", job_id, error)
    return job


@router.put("/generation-jobs/{job_id}/status", response_model=JobAnswer)
def set_status(job_id: JobId, body: StatusRequest, store: Store) -> Any:
    """Set a job's status by hand, such as `failed` for one whose worker is gone."""
    if body.status == "failed" and not body.error_message:
        raise _refusal(422, "Error message is required for failed jobs")
    values: dict[str, Any] = {"status": body.status}
    if body.error_message is not None:
        values["error_message"] = body.error_message
    if body.status == "running":
        values["started_at"] = utc_now()
    elif body.status != "pending":
        values["completed_at"] = utc_now()
    return _or_404(store.change(job_id, **values), job_id)


@router.delete("/generation-jobs/{job_id}", response_model=DeletedAnswer)
def delete_job(job_id: JobId, store: Store) -> Any:
    """Delete a job that has ended."""
    if not store.delete(job_id, unless=("pending", "running")):
        _found(store, job_id)
        raise _refusal(422, "Cannot delete pending or running jobs")
    return DeletedAnswer(message=f"Generation job {job_id} deleted successfully")


def _found(store: JobStore, job_id: int) -> Job:
    return _or_404(store.get(job_id), job_id)


def _or_404(job: Job | None, job_id: int) -> Job:
    if job is None:
        raise _refusal(404, f"GenerationJob with id {job_id} not found")
    return job


def _refusal(status: int, reason: str) -> HTTPException:
    # The real API puts the status into the text as well.
    return HTTPException(status, f"{status}: {reason}")
