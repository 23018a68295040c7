"""The shop as it runs: its own folder, its own processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
from celery import Celery
from redis import Redis

from runbooks.drift.presence import still_there
from runbooks.drift.report import Report, Role
from runbooks.drift.reports import Shelf
from tests.support.waiting import wait_until

OLD, NEW = "http://localhost:1111", "http://localhost:2222"
PASSWORD, GREETING = "hunter2-and-more", "tr0ub4dor and 3 more words"


class Shop:
    """One shop; everything that it has started ends with it."""

    def __init__(self, root: Path, redis_url: str) -> None:
        self.root, self.redis_url = root, redis_url
        shutil.copytree(Path(__file__).parent / "shop", root)
        self.write(OLD)
        self.shelf = Shelf(redis_url, "shop")
        self.client = Redis.from_url(redis_url, decode_responses=False)
        self.celery = Celery("shop", broker=redis_url, set_as_current=False)
        self._processes: list[subprocess.Popen[bytes]] = []

    def write(self, url: str) -> None:
        values = {"WAREHOUSE_URL": url, "API_PASSWORD": PASSWORD, "GREETING": f'"{GREETING}"'}
        lines = [f"SHOP_{name}={value}\n" for name, value in values.items()]
        (self.root / "shop.env").write_text("".join(lines))

    def start_worker(
        self,
        pool: str,
        *,
        name: str = "w",
        app: str = "worker:app",
        queue: str = "celery",
        environ: Mapping[str, str] | None = None,
    ) -> int:
        options = [
            "--pool",
            pool,
            "--concurrency",
            "2",
            "--without-mingle",
            "--without-gossip",
            "--loglevel=info",
            "-n",
            f"{name}@%h",
            "-Q",
            queue,
        ]
        return self._start(["celery", "-A", app, "worker", *options], f"{name}.log", environ).pid

    def start_api(self, environ: Mapping[str, str] | None = None, app: str = "api:app") -> httpx.Client:
        self._start(["uvicorn", app, "--port", "0"], "api.log", environ)
        (url,) = wait_until(lambda: re.findall(r"http://127\.0\.0\.1:\d+", self.log("api.log")), 20, "no API")
        return httpx.Client(base_url=url, trust_env=False)

    def refused(self, command: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str]:
        """Start what shall not start; its exit code and what it says."""
        said = len(self.log("refused.log")) if (self.root / "refused.log").exists() else 0
        code = self._start(command, "refused.log", environ).wait(30)
        return code, self.log("refused.log")[said:]

    def _start(
        self, arguments: Sequence[str], log: str, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CELERY")}
        with (self.root / log).open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=self.root,
                env={**environ, "REDIS_URL": self.redis_url, "PYTHONUNBUFFERED": "1", **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.root / name).read_text()

    def send(self, seconds: float = 0.0, task: str = "pack") -> str:
        """Order a job that takes so long."""
        order = uuid4().hex
        self.celery.send_task(f"worker.{task}", args=[order, seconds])
        return order

    def done(self, order: str, timeout: float = 20) -> str:
        """Wait until it is done, and return what the worker says: pid and URL."""
        answer = self.client.blpop([order], timeout)
        assert answer, "the job was not done"
        _, said = answer
        assert isinstance(said, bytes)
        return said.decode()

    def reports(self, *roles: Role) -> list[Report]:
        return [report for report in still_there(self.shelf.read().reports) if not roles or report.role in roles]

    def wait_for(self, wanted: Callable[[list[Report]], bool], message: str, timeout: float = 20) -> list[Report]:
        """Wait until the reports are as they should be, and return them; there may be none."""

        def found() -> list[list[Report]]:
            reports = self.reports()
            return [reports] if wanted(reports) else []

        return wait_until(found, timeout, message)[0]

    def remove(self) -> None:
        for process in self._processes:
            family = [psutil.Process(process.pid)] if process.poll() is None else []
            for member in [child for parent in family for child in parent.children(recursive=True)] + family:
                member.send_signal(signal.SIGKILL)
            process.wait()
        self.shelf.close()
        self.celery.close()
        self.client.close()
