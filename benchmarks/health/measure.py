"""How long it takes to know what every process runs with: health and status page beside ``celery inspect`` and Flower.

    python benchmarks/health/measure.py                    # 1, 4 and 20 workers, and 1 000 simulated reports
    python benchmarks/health/measure.py --flower PYTHON    # a Python with flower, redis and packaging installed

Run it on a quiet machine; it takes about three minutes. Everything runs on free ports in a folder of its own, which is
removed. It prints a table and ends with 1 if an aim is missed.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import httpx
import psutil
from celery import Celery

from runbooks.drift.adapters import Snapshot
from runbooks.drift.fingerprint import Salt
from runbooks.drift.presence import still_there
from runbooks.drift.report import Report, Role
from runbooks.drift.reporter import Identity, Reporter
from runbooks.drift.reports import Shelf
from runbooks.genonaut import NAME
from runbooks.genonaut.holding import held_by
from runbooks.lab import Lab
from runbooks.lab.processes import WORKER_APP
from runbooks.settings import load_settings

HEALTH_ASKED, INSPECT_ASKED, FLOWER_ASKED = 200, 3, 3
AIM_MS, AIM_THOUSAND_MS = 10.0, 50.0


def milliseconds(call: Callable[[], object], times: int) -> list[float]:
    """How long each of several calls takes, sorted."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return sorted(taken)


class Stack:
    """A lab with as many workers as are asked for."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.redis_url = lab.environment()["REDIS_URL"]
        self.api = httpx.Client(base_url=lab.environment()["API_URL"], trust_env=False, timeout=30)
        self.celery = Celery(broker=self.redis_url, set_as_current=False)
        self.workers = [psutil.Process(lab.state.service("worker").pid)]

    def grow(self, count: int) -> None:
        """Start workers until there are ``count``, each with one pool child."""
        while len(self.workers) < count:
            number = len(self.workers)
            options = [
                *("--concurrency=1", "--without-mingle", "--without-gossip"),
                *(f"--hostname=w{number}@%h", "--queues=default,generation"),
            ]
            environ = {**os.environ, "ENV_TARGET": "local-demo", "GENONAUT_LAB": str(self.lab.root)}
            with (self.lab.root / "logs" / f"worker-{number}.log").open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "celery", "-A", WORKER_APP, "worker", *options],
                    cwd=self.lab.root,
                    env=environ,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self.workers.append(psutil.Process(process.pid))
        wait_until(lambda: self.reporting(Role.MAIN) == count, f"{count} workers to report")

    def reporting(self, role: Role) -> int:
        """How many processes speak."""
        processes = self.api.get("/api/v1/health").json()["processes"]
        return sum(process["role"] == role and process["state"] == "reporting" for process in processes)

    def health(self) -> None:
        """One question to the health endpoint."""
        self.api.get("/api/v1/health").raise_for_status()

    def status(self) -> None:
        """One question to the status page, as JSON."""
        self.api.get("/status.json").raise_for_status()

    def cpu_seconds(self) -> float:
        """What the API has worked so far: other work beside it changes that less than the clock."""
        times = psutil.Process(self.lab.state.service("api").pid).cpu_times()
        return times.user + times.system

    def inspect(self) -> None:
        """What ``celery inspect conf`` does; it waits for a second, as it cannot know how many will answer."""
        self.celery.control.inspect().conf()


def wait_until(condition: Callable[[], object], what: str, timeout: float = 180) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it does not come about.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)


@contextlib.contextmanager
def flower(python: str | None, redis_url: str) -> Iterator[Callable[[], object] | None]:
    """Flower, if there is a Python that has it: a call that has it ask all workers anew."""
    if python is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "celery", "--broker", redis_url, "flower", f"--port={port}", "--address=127.0.0.1"]
    environ = os.environ | {"FLOWER_UNAUTHENTICATED_API": "true"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:

            def ask() -> object:
                return client.get("/api/workers", params={"refresh": "true"}).raise_for_status()

            def answers() -> bool:
                with contextlib.suppress(httpx.HTTPError):
                    ask()
                    return True
                return False

            wait_until(answers, "Flower to answer", 60)
            yield ask
        process.terminate()


def row(what: str, stack: Stack, ask_flower: Callable[[], object] | None) -> bool:
    """Measure, print one row, and say whether the aim was met."""
    health, status = milliseconds(stack.health, HEALTH_ASKED), milliseconds(stack.status, HEALTH_ASKED)
    inspect = statistics.median(milliseconds(stack.inspect, INSPECT_ASKED))
    seen = f"{statistics.median(milliseconds(ask_flower, FLOWER_ASKED)):8.0f}" if ask_flower else "       -"
    print(f"| {what:28} | {both(health)} | {both(status)} | {inspect:8.0f} | {seen} |", flush=True)
    return max(map(statistics.median, (health, status))) < AIM_MS


def both(taken: list[float]) -> str:
    """Median and 95th percentile as two columns."""
    return f"{statistics.median(taken):9.1f} | {taken[int(len(taken) * 0.95)]:9.1f}"


def thousand(stack: Stack) -> bool:
    """A thousand simulated processes beside the real ones."""
    shelf = Shelf(stack.redis_url, NAME, life=600)
    root = stack.lab.root
    read = Snapshot(held_by(load_settings(root, "local-demo", {})))
    one = Reporter(lambda: read, Identity(NAME, Role.MAIN, every=600), stack.redis_url)
    one.observe()

    def make(number: int) -> Callable[[Salt, datetime], Report]:
        return lambda salt, now: replace(
            one.report(salt, now), id=f"simulated-{number}", machine="simulated", pid=number, env_target="local-demo"
        )

    for number in range(1000):
        shelf.put(make(number))
    before = stack.cpu_seconds()
    health = milliseconds(stack.health, 60)
    between = stack.cpu_seconds()
    status = milliseconds(stack.status, 60)
    spent = [each / 60 * 1000 for each in (between - before, stack.cpu_seconds() - between)]
    read_only = statistics.median(milliseconds(lambda: still_there(shelf.read().reports), 60))
    print(f"| {'1 000 simulated reports':28} | {both(health)} | {both(status)} | {'-':>8} | {'-':>8} |")
    print(f"\nReading those reports alone: {read_only:.1f} ms.")
    print(f"The API's CPU time for one of those answers: health {spent[0]:.1f} ms, status {spent[1]:.1f} ms.")
    shelf.close()
    return max(map(statistics.median, (health, status))) < AIM_THOUSAND_MS


def main() -> int:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flower", metavar="PYTHON", help="a Python that has Flower")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 20])
    options = parser.parse_args()
    for name in ("REDIS_URL", "CELERY_BROKER_URL", "DATABASE_URL"):
        os.environ.pop(name, None)
    folder = Path(tempfile.mkdtemp(prefix="runbooks-benchmark-"))
    lab = Lab.start(folder / "lab", free_ports=True)
    met = True
    try:
        stack = Stack(lab)
        print("| milliseconds | health p50 | health p95 | status p50 | status p95 | inspect | Flower |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        with flower(options.flower, stack.redis_url) as ask_flower:
            for count in options.workers:
                stack.grow(count)
                word = "worker" if count == 1 else "workers"
                met &= row(f"{count} {word}", stack, ask_flower)
                met &= troubled(stack, count, ask_flower)
        met &= thousand(stack)
    finally:
        lab.discard()
        folder.rmdir()
    return 0 if met else 1


def troubled(stack: Stack, count: int, ask_flower: Callable[[], object] | None) -> bool:
    """The same with the last worker stopped, and then with it dead."""
    worker = stack.workers[-1]
    family = [worker, *worker.children()]
    for process in family:
        process.suspend()
    wait_until(lambda: stack.reporting(Role.MAIN) == count - 1, "the stopped worker to be silent")
    met = row(f"{count}, one of them stopped", stack, ask_flower)
    for process in family:
        process.send_signal(signal.SIGKILL)
    met &= row(f"{count}, one of them dead", stack, ask_flower)
    stack.workers.pop()
    return met


if __name__ == "__main__":
    sys.exit(main())
