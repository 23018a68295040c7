"""Installations of the tests' own: files, Makefile and processes of an application that knows nothing of us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from runbooks.drift import ProcessView, is_alive, look_at, look_for
from runbooks.workers import read_command
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
STANDIN = HERE / "standin" / "celery"
OLD = "http://localhost:8000"
NEW = "http://localhost:8189"
ARGV = ["-A", "genonaut.worker.queue_app:celery_app", "worker", "--loglevel=info", "--queues=default,generation"]

MAKEFILE = """\
celery-{name}:
\t@set -a && . env/.env.shared && . env/.env.local-{name} && set +a && \\
\tENV_TARGET=local-{name} celery {argv}

"""


class Installation:
    """A folder with the real layout, and all processes that work in it."""

    def __init__(self, root: Path, redis_url: str, *, more_options: str = " --without-mingle") -> None:
        self.root = root
        self.redis_url = redis_url
        self.log = root / "logs" / "worker.log"
        for folder in ("config", "env", "logs"):
            (root / folder).mkdir(parents=True)
        self.base = {
            "comfyui-url": OLD,
            "comfyui-output-dir": "comfyui",
            "comfyui-timeout": "old",
            "comfyui-poll-interval": "old",
            "comfyui-max-wait-time": "old",
            "redis-url": "redis://127.0.0.1:1/0",
        }
        self.write("config/base.json", json.dumps(self.base))
        for name in ("demo", "dev"):
            self.write(f"config/local-{name}.json", "{}")
            self.write(f"env/.env.local-{name}", f"COMFYUI_URL={OLD}\n")
        self.write("env/.env.shared", f"REDIS_URL={redis_url}\n")
        self.write("env/.env", "# nothing\n")
        argv = " ".join(ARGV) + more_options
        self.write("Makefile", "".join(MAKEFILE.format(name=name, argv=argv) for name in ("demo", "dev")))
        self._started: list[subprocess.Popen[bytes]] = []
        self._open: list[int] = []

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.write_text(text)
        return path

    def make(self, name: str = "demo", *, exported: Mapping[str, str] | None = None, log: Path | None = None) -> int:
        """Start a worker as the real Makefile does, from a shell that exported some variables: the pid of make."""
        return self.run(["make", f"celery-{name}"], exported, log)

    def standin(
        self, target: str = "local-demo", argv: Sequence[str] = ARGV, program: Path = STANDIN, **exported: str
    ) -> ProcessView:
        """Start something that looks like a worker; returns when it is there."""
        command = [sys.executable, str(program), *argv]
        log = self.root / "logs" / f"standin-{len(self._started)}.log"
        pid = self.run(command, {"ENV_TARGET": target, "COMFYUI_URL": OLD, **exported}, log)
        wait_until(lambda: "ComfyUI URL" in log.read_text(), 10, "the stand-in to be there")
        view = look_at(pid)
        assert view is not None
        return view

    def run(
        self,
        command: list[str],
        exported: Mapping[str, str] | None = None,
        log: Path | None = None,
        executable: str | None = None,
    ) -> int:
        """Start a command in the background in the installation's folder, in an environment that starts small."""
        with (log or self.log).open("ab") as output:
            process = subprocess.Popen(
                command,
                executable=executable,
                cwd=self.root,
                env=self.environment(exported),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._started.append(process)
        return process.pid

    def adopt(self, process: subprocess.Popen[bytes], *descriptors: int) -> None:
        """Collect a process, and close descriptors, when the installation is removed."""
        self._started.append(process)
        self._open += descriptors

    def environment(self, exported: Mapping[str, str] | None = None) -> dict[str, str]:
        bin_folder = Path(sys.executable).parent
        return {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.root),
            "PYTHONPATH": str(HERE / "app"),
            **(exported or {}),
        }

    def processes(self) -> list[psutil.Process]:
        """Every process that works in this folder, whoever started it."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cwd() == str(self.root):
                    found.append(process)
        return found

    def mains(self, target: str = "local-demo") -> list[ProcessView]:
        """Main processes of this folder and target, oldest first. Told by their parent, not by the code under test."""
        views = [view for view in look_for(lambda argv: read_command(argv) is not None) if view.cwd == self.root]
        mains = [view for view in views if view.ppid not in {other.pid for other in views}]
        ours = [view for view in mains if (view.environ or {}).get("ENV_TARGET") == target]
        return sorted(ours, key=lambda view: view.started)

    def ready(self, count: int, log: Path | None = None) -> None:
        """Wait until so many workers have written that they are ready."""
        file = log or self.log
        wait_until(lambda: file.exists() and file.read_text().count(" ready.") >= count, 40, f"{count} ready in {file}")

    def send(self, number: int, **arguments: object) -> None:
        """Put a job on the queue, over a connection of its own."""
        from celery import Celery

        with Celery(broker=self.redis_url, set_as_current=False) as app:
            app.send_task("run_job", (number,), arguments, queue="default", ignore_result=True)

    def jobs(self, event: str) -> list[dict[str, Any]]:
        """What the jobs wrote down: ``began`` or ``ended``."""
        file = self.root / "jobs.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [job for line in lines if (job := json.loads(line))["event"] == event]

    def signals(self) -> list[str]:
        """Every signal that stand-ins got, as ``pid NAME``."""
        return (self.root / "signals.txt").read_text().splitlines()

    def remove(self) -> None:
        """Kill what still works in this folder."""

        def none_left() -> bool:
            for process in self.processes():
                with suppress(psutil.Error):
                    process.kill()
            return not [process for process in self.processes() if is_alive(process)]

        wait_until(none_left, 10, f"every process in {self.root} to be gone")
        for started in self._started:
            started.wait(10)
        while self._open:
            os.close(self._open.pop())


Install = Callable[..., Installation]
