"""A thousand jobs on a real prefork worker while its file is edited fifty times, in every way there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import Celery
from redis import Redis

from tests.lab.backends import broker_for
from tests.reload.edits import EDITS, Edit, atomic_rename, in_place
from tests.reload.installation import TARGET, Installation, make_installation
from tests.support.waiting import wait_until

APP = Path(__file__).parent / "app"
JOBS, EDITED, CHILDREN = 1000, 50, 2
READY = "ready."


def truncated(path: Path, text: str) -> None:
    path.write_text("")


def half_written(path: Path, text: str) -> None:
    """A valid URL, and the wrong one."""
    path.write_text(text[: text.index("\n") - 2])


def deleted(path: Path, text: str) -> None:
    path.unlink()


BROKEN: tuple[Edit, ...] = (truncated, half_written, deleted)
WAYS: tuple[Edit, ...] = (*EDITS, truncated, in_place, half_written, atomic_rename, deleted, in_place)


def content(number: int) -> str:
    return f"COMFYUI_URL=http://localhost:{number}\nCOMFYUI_OUTPUT_DIR=/output/{number}\n"


def json_content(number: int) -> str:
    # Neither may be zero.
    return json.dumps({"comfyui-timeout": number + 1, "comfyui-max-wait-time": number + 1}) + "\n"


@dataclass
class Load:
    """A worker, its files, and the queue."""

    installation: Installation
    celery: Celery
    redis: Redis
    main: psutil.Process
    log: Path
    sent: int = 0

    def send(self, jobs: int) -> None:
        for _ in range(jobs):
            self.celery.send_task("load.job", (self.sent,))
            self.sent += 1

    def done(self) -> int:
        return int(self.redis.llen("load.results"))

    def results(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.redis.lrange("load.results", 0, -1)]


def json_file(installation: Installation) -> Path:
    return installation.root / "config" / f"{TARGET}.json"


@contextmanager
def worker(root: Path) -> Iterator[Load]:
    """Started as the Makefile does it: the shell sources the two env files and exports all that they set."""
    installation = make_installation(root / "installation")
    installation.target.write_text(content(0))
    json_file(installation).write_text(json_content(0))
    log = root / "worker.log"
    with broker_for(root) as broker, log.open("wb") as output:
        environ = {
            **{name: text for name, text in os.environ.items() if not name.startswith(("CELERY_", "COMFYUI_"))},
            "ENV_TARGET": TARGET,
            "CONFIG_RELOAD": "on-change",
            "LOAD_BROKER": broker,
            "PYTHONPATH": os.pathsep.join((str(APP), os.environ.get("PYTHONPATH", ""))),
        }
        command = (
            f"set -a; . env/.env.shared; . env/.env.{TARGET}; set +a; "
            f"exec '{sys.executable}' -m celery -A load_app worker --loglevel=info --concurrency={CHILDREN}"
            " --without-mingle --without-gossip"
        )
        process = subprocess.Popen(
            ["sh", "-c", command], cwd=installation.root, env=environ, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            with Celery(broker=broker, set_as_current=False) as celery, Redis.from_url(broker) as redis:
                load = Load(installation, celery, redis, psutil.Process(process.pid), log)
                wait_until(lambda: READY in log.read_text() or process.poll() is not None, 30, "the worker to be ready")
                assert process.poll() is None, log.read_text()
                yield load
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.e2e
def test_each_of_a_thousand_jobs_ran_wholly_on_one_value_none_was_lost_and_the_last_value_won(tmp_path: Path) -> None:
    with worker(tmp_path.resolve()) as load:
        assert load.main.environ()["COMFYUI_URL"] == "http://localhost:0", "the shell exported it"
        children = {child.pid for child in load.main.children()}
        each = JOBS // EDITED
        for number in range(1, EDITED + 1):
            load.send(each)
            WAYS[(number - 1) % len(WAYS)](load.installation.target, content(number))
            EDITS[number % len(EDITS)](json_file(load.installation), json_content(number))
            # The next edit comes while this one's jobs run, so that the queue is never empty.
            wait_until(lambda: load.done() > load.sent - each - CHILDREN, 30, "the jobs to be done")
        wait_until(lambda: load.done() == JOBS, 30, "all jobs to be done")
        _the_last_value_wins(load)
        results = load.results()

        assert sorted(result["number"] for result in results) == list(range(load.sent)), "none lost, none doubled"
        assert all(len(result["seen"]) == 1 for result in results), "each ran wholly on one value"
        values = [_value_of(result) for result in results]
        broken = {number for number in range(1, EDITED + 1) if WAYS[(number - 1) % len(WAYS)] in BROKEN}
        assert not broken & {url for url, _ in values}, "no broken edit was in force, and no default in its place"
        for pid in children:
            own = [value for value, result in zip(values, results, strict=True) if result["pid"] == pid]
            for of_one_file in zip(*own, strict=True):
                assert list(of_one_file) == sorted(of_one_file), "no child went back to an older value"
        for of_one_file in zip(*values, strict=True):
            seen = sorted(set(of_one_file))
            assert len(seen) >= 8, f"the edits were hardly seen at all: {seen}"
        assert {result["pid"] for result in results} == children, "nothing was restarted"
        log = load.log.read_text()
        assert "Traceback" not in log


def _value_of(result: dict[str, Any]) -> tuple[int, int]:
    """The number of the edit that the values of the env file are from, and of the edit of the JSON file."""
    ((url, output_dir, timeout, max_wait),) = result["seen"]
    number = int(url.rpartition(":")[2])
    assert output_dir == f"/output/{number}", "URL and folder belong to the same edit"
    assert timeout == max_wait, "and so do the two values of the JSON file"
    return number, int(timeout) - 1


def _the_last_value_wins(load: Load) -> None:
    """From a second and a half after the last edit on, every child works with it."""

    def everyone_has_it() -> bool:
        before = load.done()
        load.send(2 * CHILDREN)
        wait_until(lambda: load.done() == load.sent, 10, "the jobs to be done")
        last = load.results()[before:]
        everyone = len({result["pid"] for result in last}) == CHILDREN
        return everyone and {_value_of(each) for each in last} == {(EDITED, EDITED)}

    wait_until(everyone_has_it, 5, f"all children to have value {EDITED}")
