"""One attempt at one job, from `running` to `completed` or `failed`."""

from __future__ import annotations

import logging
from typing import Any

from runbooks.comfyui import ComfyUIWorkerClient, ComfyUIWorkflowError
from runbooks.genonaut.store import JobStore
from runbooks.genonaut.tables import Job, utc_now
from runbooks.genonaut.worker.pictures import file_away, make_thumbnails
from runbooks.genonaut.worker.workflow import build_workflow

logger = logging.getLogger(__name__)

# `failed` is not terminal: a retry takes the job up again. `completed` and `cancelled` are.
OPEN = ("pending", "running", "failed")


class JobWithdrawn(Exception):  # noqa: N818 - no error: somebody cancelled, finished or deleted the job meanwhile
    """The job must not be worked on any more."""


def run_job(store: JobStore, job_id: int, client: ComfyUIWorkerClient) -> None:
    """Have ComfyUI make the job's picture and store the outcome.

    Raises:
        JobWithdrawn: the job is cancelled, completed or gone; its row is left as it is.
        Exception: whatever made the attempt fail, after it was written to the job as ``error_message``.
    """
    logger.info("Starting job %s", job_id)
    job = _still_open(
        store.change(
            job_id, only_from=OPEN, status="running", started_at=utc_now(), completed_at=None, error_message=None
        ),
        job_id,
    )
    try:
        _generate(store, job, client)
    except JobWithdrawn:
        raise
    except Exception as error:
        message = str(error) or type(error).__name__
        store.change(job_id, only_from=("running",), status="failed", error_message=message, completed_at=utc_now())
        raise
    logger.info("Job %s completed", job_id)


def _generate(store: JobStore, job: Job, client: ComfyUIWorkerClient) -> None:
    prompt_id = client.submit_generation(build_workflow(job), client_id=str(job.id))
    logger.info("Job %s is prompt %s", job.id, prompt_id)
    _still_open(store.change(job.id, only_from=OPEN, comfyui_prompt_id=prompt_id), job.id)

    entry = client.wait_for_outputs(prompt_id, between_looks=lambda: _still_wanted(store, job.id))
    paths = client.output_paths(entry)
    if not paths:
        raise ComfyUIWorkflowError(f"No output files produced for job {job.id}")
    filed = file_away(client.output_dir, job.user_id, job.id, paths)
    if not filed:
        raise ComfyUIWorkflowError(f"Unable to determine primary image path for job {job.id}")

    params: dict[str, Any] = {
        **job.params,
        "thumbnails": {path.name: make_thumbnails(client.output_dir, path) for path in filed},
        "output_paths": [str(path) for path in filed],
        "comfyui_prompt_id": prompt_id,
        "workflow_messages": (entry.get("status") or {}).get("messages") or [],
    }
    content = {
        "title": job.prompt[:255],
        "content_type": "image",
        "content_data": str(filed[0]),
        "prompt": job.prompt,
        "creator_id": job.user_id,
        "item_metadata": params,
    }
    _still_open(store.complete(job.id, OPEN, content, params=params, error_message=None), job.id)


def _still_wanted(store: JobStore, job_id: int) -> None:
    job = store.get(job_id)
    _still_open(job if job and job.status in OPEN else None, job_id)


def _still_open(job: Job | None, job_id: int) -> Job:
    if job is None:
        raise JobWithdrawn(f"Job {job_id} was cancelled, completed or deleted")
    return job
