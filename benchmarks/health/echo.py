"""Empty tasks a second of one pool child: ``python echo.py REDIS_URL TASKS``. With ``REPORTING=1`` it reports."""

# ruff: noqa: T201
from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

from celery import Celery
from redis import Redis

URL = os.environ.get("ECHO_URL") or sys.argv[1]
app = Celery("echo", broker=URL)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=64)


@lru_cache
def get_settings() -> dict[str, str]:
    """Thirty settings."""
    return {f"setting_{number}": f"http://localhost:{number}" for number in range(30)}


if os.environ.get("REPORTING"):
    from runbooks.drift.celery import report_settings

    report_settings(app, get_settings)


@app.task(name="echo.nothing")
def nothing() -> None:
    """Read the settings, as every job does, and nothing else."""
    get_settings()


def main() -> None:
    """Queue the tasks, have a worker do them, and print how many a second it did between the tenth and the last."""
    tasks = int(sys.argv[2])
    with Redis.from_url(URL) as client:
        client.flushdb()
        for _ in range(tasks):
            nothing.delay()
        options = ["--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel=critical"]
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "echo", "worker", "--concurrency=1", *options],
            cwd=Path(__file__).parent,
            env=os.environ | {"ECHO_URL": URL},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while client.llen("celery") > tasks * 0.9:
                time.sleep(0.001)
            began, first = time.perf_counter(), client.llen("celery")
            while (left := client.llen("celery")) > tasks * 0.1:
                time.sleep(0.005)
            print((first - left) / (time.perf_counter() - began))
        finally:
            worker.terminate()
            worker.wait()


if __name__ == "__main__":
    main()
