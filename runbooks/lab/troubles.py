"""What can go wrong in a lab that is up: troubles to practise on, made as they are made in earnest."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import httpx
import psutil

from runbooks.errors import UserError
from runbooks.lab import processes
from runbooks.lab.health import worker_answers
from runbooks.lab.lab import Lab
from runbooks.target import Target

_PATIENCE = 60.0
"""Seconds for anything to come about."""


@dataclass(frozen=True)
class Trouble:
    """One trouble.

    Attributes:
        make: makes it in a lab that is up, and tells the job that it is about, if it is about one.
        says: what is so then, in one sentence; ``{job}`` stands for that job.
    """

    make: Callable[[Lab], int | None]
    says: str


def complete_a_job(lab: Lab) -> int:
    """No trouble at all: a lab that has been used once."""
    target = Target.from_environment(lab.environment())
    return target.wait_for_job(target.create_job().id).id


def lose_prompts(lab: Lab, count: int = 1) -> int:
    """Have jobs run for prompts that ComfyUI has forgotten, as after its restart: `running` until 900 s have passed.

    Args:
        lab: a lab whose worker uses the mock.
        count: how many; more than the worker has pool children do not run.

    Returns:
        The number of the first job.
    """
    target = Target.from_environment(lab.environment())
    # The first look at each prompt is answered late: meanwhile it is done, and gone from the history.
    _fault(target, {"kind": "slow", "method": "GET", "path": "/history", "seconds": 2.0, "times": count})
    jobs = [target.create_job().id for _ in range(count)]
    _wait(lambda: all(target.get_job(job).prompt_id for job in jobs), "the jobs' prompts")
    _wait(lambda: not any(_mock(target, "GET", "/queue").json().values()), "the prompts' end")
    _mock(target, "POST", "/history", {"clear": True})
    return jobs[0]


def kill_the_worker(lab: Lab) -> int:
    """SIGKILL a worker whose pool children are all at work, main process and children, and start another one.

    The running jobs stay `running`, and one that it had reserved stays `pending`.
    """
    main = _worker(lab)
    first = lose_prompts(lab, len(main.children()))
    Target.from_environment(lab.environment()).create_job("waits behind the others")
    _wait(lambda: _reserved(lab), "a reserved job")
    killed = [main, *main.children()]
    for process in killed:
        process.kill()
    psutil.wait_procs(killed, _PATIENCE)
    start_worker(lab)
    return first


def leave_an_orphan(lab: Lab) -> None:
    """Kill the make that a stale worker was started with, and start another worker: two answer, one of them stale."""
    main = _worker(lab)
    ours = {process.pid for process in processes.lab_processes(lab.root)}
    above = [parent for parent in main.parents() if parent.pid in ours]
    for process in above:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _wait(lambda: not any(map(processes.is_alive, above)), "the end of make")
    start_worker(lab)


def double_the_worker(lab: Lab) -> None:
    """Start a second worker of the same target, with a node name of its own."""
    start_worker(lab, "NODE=second")


def hang_the_mock(lab: Lab) -> None:
    """Have the mock take every request and answer none, until the fault is cleared."""
    _fault(Target.from_environment(lab.environment()), {"kind": "hang"})


def stop_the_broker(lab: Lab) -> int:
    """Stop the embedded broker, while a job runs."""
    pid = lab.state.service("broker").pid
    if pid is None:
        raise UserError("The lab's broker is a server of its own.", "Unset REDIS_URL and CELERY_BROKER_URL.")
    target = Target.from_environment(lab.environment())
    job = target.create_job().id
    _wait(lambda: target.get_job(job).status == "running", "a running job")
    process = psutil.Process(pid)
    process.send_signal(signal.SIGTERM)
    process.wait(_PATIENCE)
    return job


def start_worker(lab: Lab, *arguments: str) -> None:
    """Start one more worker with the lab's Makefile, and return when it answers.

    Args:
        lab: the lab.
        arguments: more words for ``make``.
    """
    before = {process.pid for process in _mains(lab)}
    keys = json.loads((lab.root / "config" / "base.json").read_text(encoding="utf-8"))
    in_files = {key.replace("-", "_").upper() for key in keys}
    environ = processes.lab_environment(lab.root, lab.state.env_target, in_files)
    log = lab.root / "logs" / "worker.log"
    command = ["make", "--no-print-directory", "celery-demo", *arguments]
    processes.spawn(command, root=lab.root, environ=environ, log=log)
    broker = lab.environment()["REDIS_URL"]
    _wait(
        lambda: [one for one in _mains(lab) if one.pid not in before and worker_answers(broker, one.pid)],
        "the new worker's answer",
    )


TROUBLES: Mapping[str, Trouble] = {
    "used": Trouble(complete_a_job, "All is well, and job {job} has completed."),
    "busy": Trouble(
        lose_prompts, "Job {job} runs, and its prompt is lost: the worker waits for it, and will not stop."
    ),
    "killed": Trouble(
        kill_the_worker, "A worker was killed: job {job} stays running, and one that was reserved pending."
    ),
    "orphan": Trouble(leave_an_orphan, "Two workers share the jobs: a stale orphan, and one that is as the files say."),
    "two-workers": Trouble(double_the_worker, "Two workers use the real ComfyUI, where nothing listens."),
    "hanging": Trouble(hang_the_mock, "The mock takes every request and answers none."),
    "broker-down": Trouble(stop_the_broker, "The broker is down. It went while job {job} ran."),
}
"""Each trouble by the name of its state."""


def _mains(lab: Lab) -> list[psutil.Process]:
    return processes.worker_mains(processes.lab_processes(lab.root))


def _worker(lab: Lab) -> psutil.Process:
    (main,) = _mains(lab)
    return main


def _reserved(lab: Lab) -> int:
    """How many messages workers have taken and not acknowledged."""
    import redis

    with redis.Redis.from_url(lab.environment()["REDIS_URL"]) as client:
        return cast("int", client.hlen("unacked"))


def _fault(target: Target, fault: Mapping[str, object]) -> None:
    _mock(target, "POST", "/kernie/faults", fault)


def _mock(target: Target, method: str, path: str, body: object = None) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=10.0) as client:
        return client.request(method, target.mock_url + path, json=body).raise_for_status()


def _wait(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise UserError(f"The lab waited {_PATIENCE:g} s in vain for {what}.", "Look into its logs.")
        time.sleep(0.05)
