"""A worker of one pool child that does empty tasks: ``python echo.py REDIS_URL TASKS``. With ``EVERY=2`` it reports.

Prints, for the middle four fifths of the tasks: how many a second, and microseconds of processor time for each.
"""

# ruff: noqa: T201
from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

import psutil
from celery import Celery
from redis import Redis

URL = os.environ.get("ECHO_URL") or sys.argv[1]
app = Celery("echo", broker=URL)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=64)


@lru_cache
def get_settings() -> dict[str, str]:
    """Thirty settings."""
    return {f"setting_{number}": f"http://localhost:{number}" for number in range(30)}


if os.environ.get("EVERY"):
    from runbooks.drift.celery import report_settings

    report_settings(app, get_settings, every=float(os.environ["EVERY"]))


@app.task(name="echo.nothing")  # type: ignore[untyped-decorator]
def nothing() -> None:
    """Read the settings, as every job does, and nothing else."""
    get_settings()


def processor_time(family: list[psutil.Process]) -> float:
    """Seconds that all of them have used."""
    times = [process.cpu_times() for process in family]
    return sum(each.user + each.system for each in times)


def main() -> None:
    """Queue the tasks, have a worker do them, and print how it went between the tenth and the last tenth."""
    tasks = int(sys.argv[2])
    with Redis.from_url(URL) as client:
        client.flushdb()
        with app.producer_pool.acquire() as producer:
            for _ in range(tasks):
                nothing.apply_async(producer=producer)
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
                time.sleep(0.005)
            family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children()]
            used, began, first = processor_time(family), time.perf_counter(), client.llen("celery")
            while client.llen("celery") > tasks * 0.1:
                time.sleep(0.02)
            used, seconds = processor_time(family) - used, time.perf_counter() - began
            done = first - client.llen("celery")
            print(done / seconds, used / done * 1e6)
        finally:
            worker.terminate()
            worker.wait()


if __name__ == "__main__":
    main()
