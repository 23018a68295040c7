"""The application as it runs: broker, worker and API as processes of their own, in a lab."""

from __future__ import annotations

import json
import os
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from celery import Celery

from runbooks.genonaut.store import DEMO_USER_ID
from runbooks.lab import Lab
from runbooks.lab.backends import broker_command
from runbooks.lab.processes import spawn
from tests.genonaut.recordings import assert_answers_alike, recording
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

JOBS = "/api/v1/generation-jobs/"


class Stack:
    """A lab, and what the tests ask of it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.api = httpx.Client(base_url=lab.environment()["API_URL"], trust_env=False, timeout=20)

    def post(self, **values: Any) -> httpx.Response:
        asked = {"user_id": str(DEMO_USER_ID), "job_type": "image", "prompt": "a red fox in snow", **values}
        return self.api.post(JOBS, json=asked)

    def create(self, **values: Any) -> int:
        response = self.post(**values)
        assert response.status_code == 201, response.text
        return int(response.json()["id"])

    def job(self, job_id: int) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"{JOBS}{job_id}").json()
        return found

    def wait_for(self, job_id: int, status: str) -> dict[str, Any]:
        wait_until(lambda: self.job(job_id)["status"] == status, 30, f"job {job_id} did not become {status}")
        return self.job(job_id)

    def worker_log(self) -> str:
        log = self.lab.state.service("worker").log
        assert log
        return log.read_text(encoding="utf-8")

    def process(self, service: str) -> psutil.Process:
        pid = self.lab.state.service(service).pid
        assert pid
        return psutil.Process(pid)

    @contextmanager
    def hanging_mock(self) -> Iterator[None]:
        """Connections to the mock are taken and nothing is answered."""
        mock = self.process("mock")
        mock.suspend()
        try:
            yield
        finally:
            mock.resume()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    lab = Lab.start(tmp_path_factory.mktemp("lab") / "root", free_ports=True)
    stack = Stack(lab)
    yield stack
    stack.api.close()
    lab.discard()


def test_a_job_goes_all_the_way(stack: Stack) -> None:
    response = stack.post(width=512, height=768)
    assert_answers_alike(response.json(), recording("post_job_201").answer)
    done = stack.wait_for(response.json()["id"], "completed")

    (picture,) = [Path(path) for path in done["params"]["output_paths"]]
    recorded = recording("get_job_completed").answer
    # Paths are held to the recording in test_recordings, and the mock of the recording had no messages.
    for key in ("thumbnails", "output_paths", "workflow_messages"):
        assert type(done["params"][key]) is type(recorded["params"][key])
        done["params"][key] = recorded["params"][key]
    assert_answers_alike(done, recorded)
    assert picture.is_file()
    assert picture.is_relative_to(stack.lab.environment()["MOCK_OUTPUT_DIR"])


def test_creating_a_job_takes_a_fraction_of_the_real_two_seconds(stack: Stack) -> None:
    seconds, jobs = [], []
    for _ in range(5):
        start = time.perf_counter()
        jobs.append(stack.create(width=64, height=64))
        seconds.append(time.perf_counter() - start)
    for job_id in jobs:
        stack.wait_for(job_id, "completed")
    # On an idle machine 0.02; the limit is for one that runs other tests meanwhile.
    assert statistics.median(seconds) < 0.3


def test_a_job_that_fails_is_tried_four_times_and_is_failed_in_between(stack: Stack) -> None:
    job_id = stack.create(sampler_params={"sampler_name": "no such sampler"})
    states = set()

    def given_up() -> bool:
        states.add(stack.job(job_id)["status"])
        return stack.worker_log().count("raised unexpected: ComfyUIRejectedError") == 1

    wait_until(given_up, 30, "the worker did not give the job up")
    assert stack.worker_log().count(f"Starting job {job_id}\n") == 4
    assert "failed" in states
    failed = stack.job(job_id)
    assert failed["status"] == "failed"
    mock = stack.lab.environment()["MOCK_URL"]
    assert failed["error_message"].startswith(f"ComfyUI at {mock} rejected the workflow: ")
    assert "node 5 (KSampler): Value not in list (sampler_name: 'no such sampler' not in" in failed["error_message"]


def test_cancelled_jobs_stay_cancelled_whether_they_run_or_wait(stack: Stack) -> None:
    children = len(stack.process("worker").children())
    with stack.hanging_mock():
        running = [stack.create() for _ in range(children)]
        for job_id in running:
            stack.wait_for(job_id, "running")
        waiting = stack.create()
        assert stack.job(waiting)["status"] == "pending"
        for job_id in (*running, waiting):
            cancelled = stack.api.post(f"{JOBS}{job_id}/cancel", json={"reason": "changed my mind"}).json()
            assert (cancelled["status"], cancelled["error_message"]) == ("cancelled", "Cancelled: changed my mind")
    log = wait_until(
        lambda: stack.worker_log() if "Discarding revoked task" in stack.worker_log() else "",
        30,
        "the worker did not discard the job that waited",
    )
    assert f"Starting job {waiting}\n" not in log
    last = stack.create(width=64, height=64)
    stack.wait_for(last, "completed")
    assert {stack.job(job_id)["status"] for job_id in (*running, waiting)} == {"cancelled"}


def test_what_the_user_sees_when_a_part_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The broker is stopped and started here, so it must be an embedded one.
    for name in ("REDIS_URL", "CELERY_BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    lab = Lab.start(tmp_path / "root", free_ports=True)
    stack = Stack(lab)
    try:
        _broker_goes_and_comes_back(stack)
        _worker_goes(stack)
        _api_goes_with_a_connection_open(stack)
    finally:
        stack.api.close()
        lab.discard()


def _broker_goes_and_comes_back(stack: Stack) -> None:
    broker = stack.process("broker")
    worker = stack.process("worker")
    port = urlsplit(stack.lab.environment()["REDIS_URL"]).port
    folder, environ = broker.cwd(), broker.environ()
    assert port
    _retries_wait_in_the_worker(stack)
    broker.terminate()
    wait_until(lambda: not broker.is_running() or broker.status() == psutil.STATUS_ZOMBIE, 10, "the broker stays")
    seconds = _unavailable(stack)
    assert seconds < 0.5, "Redis down is said at once"
    assert stack.api.get("/api/v1/health").json()["status"] == "healthy"

    # It carries the lab's marker in its environment, so the lab's end is its end.
    spawn(broker_command(port), root=Path(folder), environ=environ, log=stack.lab.root / "logs" / "broker.log")
    wait_until(lambda: stack.post().status_code == 201, 40, "the API did not recover")
    stack.wait_for(stack.create(), "completed")
    assert worker.is_running(), "the worker died with the broker, as Celery 5.7.0 does with retries pending"


def _retries_wait_in_the_worker(stack: Stack) -> None:
    """Tasks with a countdown, as a retry is one: the worker takes them and holds them until their time."""
    queue = Celery(broker=stack.lab.environment()["REDIS_URL"])
    for _ in range(12):
        queue.send_task("genonaut.worker.tasks.run_comfy_job", args=[0], queue="generation", countdown=600)
    queue.close()
    wait_until(lambda: stack.worker_log().count("] received") >= 12, 20, "the worker did not take the retries")


def _worker_goes(stack: Stack) -> None:
    worker = stack.process("worker")
    last = stack.job(stack.create())["id"]
    worker.terminate()
    # Told to stop while a job is handed over, billiard's pool child waits up to 30 s for main to read its result.
    wait_until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, 60, "the worker stays")
    seconds = _unavailable(stack)
    assert 0.9 < seconds < 3, "a worker gets one second to answer"
    assert stack.api.get(f"{JOBS}{last + 1}").status_code == 404, "no job is made"


def _unavailable(stack: Stack) -> float:
    """Seconds that the recorded 503 takes."""
    start = time.perf_counter()
    response = stack.post()
    assert response.status_code == 503
    assert json.loads(response.text) == recording("e1_workerdown_post").answer
    return time.perf_counter() - start


def _api_goes_with_a_connection_open(stack: Stack) -> None:
    stack.api.get("/api/v1/health")
    api = stack.process("api")
    os.kill(api.pid, signal.SIGTERM)
    wait_until(lambda: not api.is_running() or api.status() == psutil.STATUS_ZOMBIE, 5, "the API stays")
