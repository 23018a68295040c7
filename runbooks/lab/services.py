"""The services of a lab: how each is started, and how one knows that it answers."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from runbooks.lab import backends
from runbooks.lab.health import http_ok, worker_answers
from runbooks.lab.layout import Layout
from runbooks.lab.processes import scripts_folder, worker_mains

ORDER = ("broker", "mock", "api", "worker", "site")

WORKER_READY = re.compile(rb"celery@\S+ ready\.")
FROZEN = b"[Celery Worker] ComfyUI URL: "
"""What a worker's main process prints when it has read its settings."""


@dataclass(frozen=True)
class Recipe:
    """How one service is started.

    Attributes:
        name: one of ``ORDER``.
        command: its command line.
        url: where it will answer, without credentials.
        port: on which it will listen, None for the worker.
        cwd: its working directory.
        log: the file that its output goes to.
        answers: whether it answers, given the pid that was started.
    """

    name: str
    command: list[str]
    url: str
    port: int | None
    cwd: Path
    log: Path
    answers: Callable[[int], bool]


def broker(layout: Layout) -> Recipe:
    """The embedded broker; its data is in a folder of its own."""
    port = layout.ports.broker
    command = backends.broker_command(port)
    folder = layout.root / "run" / "broker"
    url = layout.redis_url
    return Recipe("broker", command, url, port, folder, layout.log("broker"), lambda _: backends.broker_answers(url))


def mock(layout: Layout) -> Recipe:
    """kernie-gen, with the command line of the Makefile."""
    port, url = layout.ports.mock, layout.mock_url
    command = [
        *(str(scripts_folder() / "kernie-gen"), "--host", "127.0.0.1", "--port", str(port)),
        *("--output-dir", "output/kernie-gen", "--base-dir", "run/kernie-gen"),
    ]
    return Recipe("mock", command, url, port, layout.root, layout.log("mock"), lambda _: http_ok(url))


def api(layout: Layout) -> Recipe:
    """The API, with the command line of the Makefile."""
    port, url = layout.ports.api, layout.api_url
    command = [sys.executable, "-m", "runbooks.genonaut.api"]
    return Recipe("api", command, url, port, layout.root, layout.log("api"), lambda _: http_ok(url, "/api/v1/health"))


def worker(layout: Layout) -> Recipe:
    """The worker, by ``make``: the Makefile's shell decides what is frozen in its environment."""
    log = layout.log("worker")

    def answers(make: int) -> bool:
        # It says that it is ready a moment before it hears what is broadcast, which is how the API looks for it.
        main = main_process(make) if WORKER_READY.search(log.read_bytes()) else None
        return main is not None and worker_answers(layout.redis_url, main.pid)

    command = ["make", "--no-print-directory", "celery-demo"]
    return Recipe("worker", command, backends.without_password(layout.redis_url), None, layout.root, log, answers)


def site(layout: Layout, folder: Path) -> Recipe:
    """A folder with the built site."""
    port = layout.ports.site
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    return Recipe("site", command, url, port, layout.root, layout.log("site"), lambda _: http_ok(url))


def main_process(make: int) -> psutil.Process | None:
    """The worker's main process that a ``make`` has started, None when there is none (any more)."""
    with suppress(psutil.NoSuchProcess):
        return next(iter(worker_mains(psutil.Process(make).children(recursive=True))), None)
    return None
