"""A steady load of short jobs, and values that are set in every way there is."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from runbooks.workers import Progress
from tests.support.waiting import wait_until
from tests.workers.installation import NEW, OLD, Installation

PER_SECOND = 6
SECONDS = 0.2

EXPORTED = {"COMFYUI_MAX_WAIT_TIME": "old"}
"""What the shell that starts the worker exported once. A file says otherwise later."""

ALL_OLD = {
    "comfyui-url": OLD,
    "comfyui-output-dir": "old",
    "comfyui-timeout": "old",
    "comfyui-poll-interval": "old",
    "comfyui-max-wait-time": "old",
}
ALL_NEW = dict.fromkeys(ALL_OLD, "new") | {"comfyui-url": NEW}


def set_in_every_way(here: Installation, word: str) -> None:
    """Write ``old`` or ``new`` into the target's env file, the shared one, the override, and the target's JSON file.

    The shell's value (``EXPORTED``) is the old one for as long as no file sets another.
    """
    here.write("env/.env.local-demo", f"COMFYUI_URL={OLD if word == 'old' else NEW}\n")
    here.write("env/.env.shared", f"REDIS_URL={here.redis_url}\nCOMFYUI_OUTPUT_DIR={word}\n")
    here.write("env/.env", f"COMFYUI_POLL_INTERVAL={word}\n")
    here.write("config/local-demo.json", json.dumps({"comfyui-timeout": word}))
    here.write("config/base.json", json.dumps({**here.base, "comfyui-max-wait-time": word}))


@dataclass
class Load:
    """What a load was, and what came of it.

    Attributes:
        sent: how many jobs were sent.
        lateness: how late, in seconds, the latest was sent: what this machine makes anything wait.
        told: what the restart told, with the time of each.
    """

    here: Installation
    sent: int = 0
    lateness: float = 0.0
    told: list[tuple[float, Progress]] = field(default_factory=list)

    def listen(self, progress: Progress) -> None:
        self.told.append((time.time(), progress))

    def time_of(self, phase: str) -> float:
        """When a phase was done."""
        return next(at for at, progress in self.told if progress.done and progress.phase == phase)

    def assert_none_lost_or_doubled(self) -> None:
        for event in ("began", "ended"):
            assert Counter(job["number"] for job in self.here.jobs(event)) == Counter(range(self.sent))

    def assert_each_ran_on_one_set_of_values(self) -> None:
        for job in self.here.jobs("began"):
            assert {key: job[key] for key in ALL_OLD} in (ALL_OLD, ALL_NEW)

    def begins(self, url: str) -> list[float]:
        """When jobs began that had this ComfyUI URL."""
        return [job["at"] for job in self.here.jobs("began") if job["comfyui-url"] == url]

    def longest_gap(self) -> float:
        """Longest time in which no job began, in seconds."""
        return max(later - earlier for earlier, later in pairwise(sorted(self.begins(OLD) + self.begins(NEW))))


@contextmanager
def steady_load(here: Installation) -> Iterator[Load]:
    """Send jobs at an even pace until the block ends, then wait until each has ended."""
    from celery import Celery

    load = Load(here)
    enough = threading.Event()

    def send() -> None:
        began = time.monotonic()
        with Celery(broker=here.redis_url, set_as_current=False) as app:
            while not enough.wait(max(0.0, began + load.sent / PER_SECOND - time.monotonic())):
                app.send_task("run_job", (load.sent, SECONDS), queue="default", ignore_result=True)
                load.lateness = max(load.lateness, time.monotonic() - began - load.sent / PER_SECOND)
                load.sent += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        wait_until(lambda: len(here.jobs("ended")) >= 4, 10, "the load to be on")
        yield load
    finally:
        enough.set()
        sender.join()
    wait_until(lambda: len({job["number"] for job in here.jobs("ended")}) == load.sent, 20, "all jobs to end")
