"""A Celery application that freezes its settings as the real one does, and writes down what each job did."""

from __future__ import annotations

import json
import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from celery import Celery
from dotenv import load_dotenv

ROOT = Path.cwd()
TARGET = os.environ["ENV_TARGET"]


@lru_cache
def get_settings() -> dict[str, Any]:
    load_dotenv(ROOT / "env" / f".env.{TARGET}")
    load_dotenv(ROOT / "env" / ".env.shared")
    load_dotenv(ROOT / "env" / ".env", override=True)
    settings: dict[str, Any] = {}
    for name in ("base", TARGET):
        settings.update(json.loads((ROOT / "config" / f"{name}.json").read_text()))
    return {key: os.environ.get(key.replace("-", "_").upper(), value) for key, value in settings.items()}


celery_app = Celery("genonaut", broker=get_settings()["redis-url"])
celery_app.conf.update(
    task_ignore_result=True,
    worker_concurrency=int(os.environ.get("POOL_CHILDREN", "1")),
    broker_connection_retry_on_startup=True,
)
print(f"[Celery Worker] ComfyUI URL: {get_settings()['comfyui-url']}", flush=True)


def note(event: str, number: int) -> None:
    with (ROOT / "jobs.jsonl").open("a") as file:
        said = {"event": event, "number": number, "pid": os.getpid(), "at": time.time(), **get_settings()}
        file.write(json.dumps(said) + "\n")


@celery_app.task(name="run_job")  # type: ignore[untyped-decorator]  # celery has no types
def run_job(number: int, seconds: float = 0.0, until: str | None = None) -> None:
    """Takes some seconds, or until a file is there."""
    note("began", number)
    time.sleep(seconds)
    while until and not Path(until).exists():
        time.sleep(0.02)
    note("ended", number)
