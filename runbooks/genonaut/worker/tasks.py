"""The worker's task."""

from __future__ import annotations

from functools import cache

from celery import shared_task
from celery.utils.log import get_task_logger

from runbooks.comfyui import ComfyUIWorkerClient
from runbooks.genonaut.store import JobStore
from runbooks.genonaut.worker import RUN_JOB
from runbooks.genonaut.worker.run import JobWithdrawn, run_job
from runbooks.settings import held_settings

logger = get_task_logger(__name__)


@cache
def _store(database_url: str) -> JobStore:
    # First called in a pool child: a database connection must not cross a fork.
    return JobStore(database_url)


# Four attempts; before a retry a random wait of up to 1, 2 and 4 seconds. Every failure is tried again, as in the real
# worker, which is why a job goes from `failed` back to `running`.
@shared_task(  # type: ignore[untyped-decorator]
    name=RUN_JOB, autoretry_for=(Exception,), retry_backoff=True, retry_jitter=True, max_retries=3
)
def run_comfy_job(job_id: int) -> None:
    """Run one attempt at a job, with the settings that hold as it begins and a client of its own."""
    with held_settings() as settings, ComfyUIWorkerClient.from_settings(settings) as client:
        try:
            run_job(_store(settings.database_url), job_id, client)
        except JobWithdrawn as reason:
            logger.info("%s: nothing more to do", reason)
