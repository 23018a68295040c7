"""A Celery application under load: a job says which settings it ran on, from its first moment to its last."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from celery import Celery, shared_task
from redis import Redis

from runbooks.settings import Settings, current_settings, held_settings

SECONDS = 0.03
"""What a job takes."""

app = Celery("load", broker=os.environ["LOAD_BROKER"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1)
# In the main process, before it forks, as an application does that makes its client at import.
current_settings()


def _pair_of_each_file(settings: Settings) -> tuple[str, str, float, float]:
    """Two values that one edit of the env file set, and two that one edit of the JSON file set."""
    json_file = settings.comfyui_timeout, settings.comfyui_max_wait_time
    return settings.comfyui_url, settings.comfyui_output_dir, *json_file


@shared_task(name="load.job")  # type: ignore[untyped-decorator]
def job(number: int) -> None:
    """Look at the settings all the while, and put what was seen on a list."""
    with held_settings() as first, Redis.from_url(os.environ["LOAD_BROKER"]) as redis:
        seen = {_pair_of_each_file(first)}
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            seen.add(_pair_of_each_file(current_settings()))
            time.sleep(0.001)
        said: dict[str, Any] = {"number": number, "pid": os.getpid(), "seen": sorted(seen)}
        redis.rpush("load.results", json.dumps(said))
