"""What a worker under test includes, by CELERY_WORKER_INCLUDE: clear the cached settings where a test says so."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.worker.control import control_command

from runbooks.genonaut.worker.tasks import run_comfy_job
from runbooks.settings import get_settings

# A retry would run into the test's next action.
run_comfy_job.max_retries = 0


@shared_task(name="probe.clear", ignore_result=True)  # type: ignore[untyped-decorator]
def clear() -> None:
    """In a pool child."""
    get_settings.cache_clear()


@control_command(name="clear_in_main")  # type: ignore[untyped-decorator]
def clear_in_main(_state: Any) -> dict[str, str]:
    """In the main process; the pool children that it forks from then on inherit what it reads now."""
    get_settings.cache_clear()
    return {"comfyui_url": get_settings().comfyui_url}
