"""What reports cost a worker that does nothing but empty tasks, the least favourable work there is.

    python benchmarks/reporting/cost.py           # about five minutes; a number sets the rounds

Three workers take turns, in another order each round: one that does not report, one that reports every 2 s as by
default, and one that reports twenty times as often, so that what is too small to be seen beside the noise of a machine
can be seen, and divided by twenty. Everything runs on a free port in a folder that is removed. It prints a table and
ends with 1 if the aim is missed.
"""

# ruff: noqa: T201
from __future__ import annotations

import contextlib
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from runbooks.drift.reporter import EVERY
from runbooks.lab.backends import broker_answers, broker_command

AIM_PERCENT = 1.0
TASKS, ROUNDS, OFTEN = 5000, 7, 20
ECHO = Path(__file__).with_name("echo.py")
WAYS = {"no reports": "", f"every {EVERY:g} s (default)": f"{EVERY}", f"every {EVERY / OFTEN:g} s": f"{EVERY / OFTEN}"}
BARE, DEFAULT, FREQUENT = WAYS

Run: TypeAlias = tuple[float, float]
"""Tasks a second, and microseconds of processor time a task."""


@contextlib.contextmanager
def broker() -> Iterator[str]:
    """A broker of this run's own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"redis://127.0.0.1:{port}/0"
    with (
        tempfile.TemporaryDirectory(prefix="runbooks-benchmark-") as folder,
        subprocess.Popen(broker_command(port), cwd=folder, stdout=subprocess.DEVNULL) as server,
    ):
        deadline = time.monotonic() + 10
        while not broker_answers(url):
            if time.monotonic() > deadline:
                raise TimeoutError("the broker does not answer")
            time.sleep(0.05)
        try:
            yield url
        finally:
            server.kill()


def run(url: str, every: str) -> Run:
    """One worker from its start to the last task."""
    command = [sys.executable, str(ECHO), url, str(TASKS)]
    done = subprocess.run(command, env=os.environ | {"EVERY": every}, capture_output=True, text=True, check=True)
    rate, used = map(float, done.stdout.split())
    return rate, used


def more(runs: dict[str, list[Run]], way: str, of: Callable[[list[float]], float]) -> float:
    """Percent more processor time a task than without reports, by the median or the least of all rounds."""
    used, bare = ([run[1] for run in runs[each]] for each in (way, BARE))
    return (of(used) / of(bare) - 1) * 100


def main() -> int:
    """Measure, print, judge."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    runs: dict[str, list[Run]] = {way: [] for way in WAYS}
    load = os.getloadavg()[0]
    with broker() as url:
        for number in range(rounds):
            order = list(WAYS)[number % len(WAYS) :] + list(WAYS)[: number % len(WAYS)]
            for way in order:
                runs[way].append(run(url, WAYS[way]))
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f}, {rounds} rounds, {TASKS} tasks\n"
    )
    print("| reports | tasks a second | processor time a task, µs: median | least | more, %: median | least |")
    print("|---|--:|--:|--:|--:|--:|")
    for way, found in runs.items():
        rate, used = (statistics.median(run[index] for run in found) for index in (0, 1))
        spread = [f"{more(runs, way, of):+.1f}" if way != BARE else "-" for of in (statistics.median, min)]
        print(f"| {way} | {rate:.0f} | {used:.0f} | {min(run[1] for run in found):.0f} | {' | '.join(spread)} |")
    shares = [more(runs, FREQUENT, of) / OFTEN for of in (statistics.median, min)]
    missed = max(shares) > AIM_PERCENT
    judged = "missed" if missed else "met"
    print(f"\nOne twentieth of the last row: {shares[0]:+.2f} % by the medians, {shares[1]:+.2f} % by the least.")
    print(f"Aim: at most {AIM_PERCENT:g} % by both: {judged}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
