"""Start a lab: check first, write the folder, start all services at once, wait until each of them answers."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psutil

from runbooks.errors import UserError
from runbooks.lab import backends, processes
from runbooks.lab.health import http_ok, worker_answers
from runbooks.lab.layout import Layout, fill_folder, make_folder, require_own_folder, write_file
from runbooks.lab.lifeline import Lifeline
from runbooks.lab.ports import Ports, Reservations, require_free
from runbooks.lab.processes import scripts_folder
from runbooks.lab.state import MARKER_FILE, LabState, ProcessId, Service, lock
from runbooks.lab.stop import stop_unlocked

READY_TIMEOUT = 60.0
"""Seconds that the services get to come up."""

WORKER_READY = re.compile(rb"celery@\S+ ready\.")
FROZEN = b"[Celery Worker] ComfyUI URL: "
"""What a worker's main process prints when it has read its settings."""
NEEDED = ("celery", "redis", "fastapi", "uvicorn", "sqlalchemy", "requests", "aiohttp", "PIL")


@dataclass(frozen=True)
class Progress:
    """What just happened to a service while the lab comes up.

    Attributes:
        service: its name, or ``lab``.
        status: ``starting``, ``up``, or ``note`` for something worth reading.
        text: where it answers, or the note.
        seconds: since the start began.
        pid: of the service, once it is up and ours.
        log: the file that its output goes to.
    """

    service: str
    status: Literal["starting", "up", "note"]
    text: str
    seconds: float
    pid: int | None = None
    log: Path | None = None


@dataclass(frozen=True)
class Options:
    """What ``Lab.start`` was asked for; see there."""

    root: Path
    incident: bool = False
    comfyui: bool = False
    free_ports: bool = False
    env_target: str = "local-demo"
    redis_url: str | None = None
    database_url: str | None = None
    site: Path | None = None
    on_progress: Callable[[Progress], None] | None = None


@dataclass
class _Starting:
    """A service whose process runs and that does not answer yet."""

    name: str
    url: str
    log: Path
    process: subprocess.Popen[bytes]
    is_ready: Callable[[], bool]


class Start:
    """One start of a lab."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.root = options.root
        self._began = time.monotonic()
        self._reservations = Reservations()

    def run(self) -> tuple[LabState, Lifeline]:
        """Start everything and return what runs, or leave nothing running.

        Raises:
            UserError: something is missing, taken, unreachable or does not come up.
        """
        # All that can be wrong is looked for before anything is written.
        _check_installed(self.options)
        require_own_folder(self.root)
        _require_stopped(self.root)
        with self._reservations, ExitStack() as undo:
            layout = self._layout(undo)
            layout.files(mock=True)
            make_folder(self.root)
            with lock(self.root):
                _require_stopped(self.root)
                started = self._run_locked(layout)
            undo.pop_all()
            return started

    def _run_locked(self, layout: Layout) -> tuple[LabState, Lifeline]:
        for name in fill_folder(layout, mock=not (self.options.incident or self.options.comfyui)):
            kept = self.root / "run" / "replaced" / name
            self._report("lab", "note", f"{name} was edited since; it is put back, and your version kept as {kept}")
        lifeline = Lifeline(self.root)
        state = LabState(
            root=self.root,
            env_target=layout.env_target,
            incident=self.options.incident,
            started=time.time(),
            services=(),
            environment=layout.variables(),
            guardian=ProcessId.of(lifeline.guardian_pid),
        )
        try:
            state.write()
            for service in self._start_services(layout):
                state = state.with_service(service)
            state.write()
        except BaseException:
            stop_unlocked(self.root, kill=True)
            lifeline.end()
            raise
        return state, lifeline

    def _layout(self, undo: ExitStack) -> Layout:
        """Choose the ports and the backends.

        Args:
            undo: gets what gives back the places in servers that a new lab has taken, for when it does not come up.
        """
        ports = self._ports()
        is_new = not (self.root / MARKER_FILE).exists()
        redis_url, database_url = f"redis://127.0.0.1:{ports.broker}/0", backends.sqlite_url(self.root)
        given = self.options.redis_url or os.environ.get("CELERY_BROKER_URL") or os.environ.get("REDIS_URL")
        if given:
            redis_url = backends.claim_redis(given, self.root)
            if is_new:
                undo.callback(backends.release_redis, redis_url, self.root)
        else:
            backends.broker_command(ports.broker)
        if given := self.options.database_url or os.environ.get("DATABASE_URL"):
            database_url = backends.claim_database(given, self.root)
            if is_new:
                undo.callback(backends.release_database, database_url, self.root)
        return Layout(self.root, self.options.env_target, ports, redis_url, database_url)

    def _ports(self) -> Ports:
        choose = self._reservations.choose
        if self.options.free_ports:
            return Ports(broker=choose(), api=choose(), mock=choose(), real=choose(), site=choose())
        # The broker never takes its well-known port: a Redis that is there, or comes later, is none of our business.
        ports = Ports(broker=choose())
        require_free(ports.api, "API")
        require_free(ports.mock, "mock")
        if self.options.incident:
            require_free(ports.real, '"real ComfyUI", which must not answer in the incident')
        if self.options.site:
            require_free(ports.site, "site")
        return ports

    def _start_services(self, layout: Layout) -> list[Service]:
        embedded = not self._broker_is_there(layout)
        starting = [self._start_broker(layout)] if embedded else []
        worker = self._start_worker(layout)
        starting += [worker, self._start_mock(layout)]
        if self.options.site:
            starting.append(self._start_site(layout, self.options.site))
        if self.options.incident:
            self._wait_until(worker, lambda: FROZEN in worker.log.read_bytes())
            write_file(self.root, f"env/.env.{layout.env_target}", layout.target_env(mock=True))
            self._report("worker", "note", f"The worker has read COMFYUI_URL={layout.real_url}.")
            self._report("api", "note", f"Now the file says {layout.mock_url}, and only the API gets to know.")
        starting.append(self._start_api(layout))
        up = self._wait(starting)
        if not embedded:
            up.append(Service("broker", backends.without_password(layout.redis_url), None, None))
        order = ("broker", "mock", "api", "worker", "site")
        return sorted(up, key=lambda service: order.index(service.name))

    def _broker_is_there(self, layout: Layout) -> bool:
        return layout.redis_url != f"redis://127.0.0.1:{layout.ports.broker}/0"

    def _start_broker(self, layout: Layout) -> _Starting:
        port = layout.ports.broker
        return self._spawn(
            "broker",
            layout,
            backends.broker_command(port),
            layout.redis_url,
            lambda: backends.broker_answers(layout.redis_url),
            cwd=self.root / "run" / "broker",
        )

    def _start_mock(self, layout: Layout) -> _Starting:
        port = layout.ports.mock
        command = [
            *(str(scripts_folder() / "kernie-gen"), "--host", "127.0.0.1", "--port", str(port)),
            *("--output-dir", "output/kernie-gen", "--base-dir", "run/kernie-gen"),
        ]
        # It inherits the reservation of the port on which nothing listens.
        keeps = self._reservations.fileno(layout.ports.real)
        return self._spawn("mock", layout, command, layout.mock_url, lambda: http_ok(layout.mock_url), keeps=keeps)

    def _start_api(self, layout: Layout) -> _Starting:
        command = [sys.executable, "-m", "runbooks.genonaut.api"]
        return self._spawn("api", layout, command, layout.api_url, lambda: http_ok(layout.api_url, "/api/v1/health"))

    def _start_worker(self, layout: Layout) -> _Starting:
        def is_ready() -> bool:
            # It says that it is ready a moment before it hears what is broadcast, which is how the API looks for it.
            main = _main_process(worker) if WORKER_READY.search(worker.log.read_bytes()) else None
            return main is not None and worker_answers(layout.redis_url, main.pid)

        command = ["make", "--no-print-directory", "celery-demo"]
        worker = self._spawn("worker", layout, command, backends.without_password(layout.redis_url), is_ready)
        return worker

    def _start_site(self, layout: Layout, site: Path) -> _Starting:
        port = layout.ports.site
        command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(site)]
        url = f"http://127.0.0.1:{port}"
        return self._spawn("site", layout, command, url, lambda: http_ok(url))

    def _spawn(
        self,
        name: str,
        layout: Layout,
        command: list[str],
        url: str,
        is_ready: Callable[[], bool],
        *,
        cwd: Path | None = None,
        keeps: int | None = None,
    ) -> _Starting:
        self._report(name, "starting", backends.without_password(url), log=layout.log(name))
        if name != "worker":
            self._reservations.hand_over(urlsplit(url).port or 0)
        process = processes.spawn(
            command,
            root=cwd or self.root,
            environ=layout.process_environment(),
            log=layout.log(name),
            pass_fds=[] if keeps is None else [keeps],
        )
        return _Starting(name, url, layout.log(name), process, is_ready)

    def _wait(self, starting: Collection[_Starting]) -> list[Service]:
        """Wait until all answer."""
        waiting = list(starting)
        up: list[Service] = []
        while waiting:
            for service in list(waiting):
                if self._is_up(service, service.is_ready):
                    waiting.remove(service)
                    up.append(self._service(service))
            time.sleep(0.02)
        return up

    def _wait_until(self, service: _Starting, condition: Callable[[], bool]) -> None:
        while not self._is_up(service, condition):
            time.sleep(0.02)

    def _is_up(self, service: _Starting, condition: Callable[[], bool]) -> bool:
        """Whether the condition holds; a process that has ended, or a deadline that has passed, is an error."""
        holds = condition()
        # In this order: one that ended after it had answered is dead too.
        if service.process.poll() is not None:
            raise _failed(service, f"ended with exit code {service.process.returncode}")
        if not holds and time.monotonic() - self._began > READY_TIMEOUT:
            raise _failed(service, f"did not answer within {READY_TIMEOUT:g} s")
        return holds

    def _service(self, ready: _Starting) -> Service:
        main = _main_process(ready) if ready.name == "worker" else None
        pid = main.pid if main else ready.process.pid
        url = backends.without_password(ready.url)
        self._report(ready.name, "up", url, pid=pid, log=ready.log)
        return Service(ready.name, url, ProcessId.of(pid), ready.log)

    def _report(
        self,
        service: str,
        status: Literal["starting", "up", "note"],
        text: str,
        pid: int | None = None,
        log: Path | None = None,
    ) -> None:
        if self.options.on_progress:
            seconds = time.monotonic() - self._began
            self.options.on_progress(Progress(service, status, text, seconds, pid, log))


def _main_process(worker: _Starting) -> psutil.Process | None:
    """What make and its shell have started, None when it has ended."""
    with suppress(psutil.NoSuchProcess):
        return next(iter(processes.worker_mains(psutil.Process(worker.process.pid).children(recursive=True))), None)
    return None


def _check_installed(options: Options) -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"The lab needs Python packages that are not installed: {', '.join(missing)}.",
            "Install them: pip install 'genonaut-runbooks[lab]'",
        )
    for script in ("celery", "kernie-gen"):
        if not (scripts_folder() / script).exists():
            raise UserError(
                f"There is no {script} in {scripts_folder()}.", "Install it: pip install 'genonaut-runbooks[lab]'"
            )
    if not shutil.which("make"):
        raise UserError("There is no make on this machine.", "Install it, for example: apt-get install make")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", options.env_target) or options.env_target in ("base", "shared"):
        raise UserError(
            f"{options.env_target!r} cannot be an ENV_TARGET.", "Use letters, digits and hyphens, such as local-demo."
        )
    if options.site and not (options.site / "index.html").is_file():
        raise UserError(f"There is no site in {options.site}.", "Build it first: make site")


def _require_stopped(root: Path) -> None:
    running = processes.lab_processes(root)
    if running:
        raise UserError(
            f"The lab in {root} is running already ({len(running)} processes, such as pid {running[0].pid}).",
            f"Look at it with: runbooks status --root {root}, or stop it first with: runbooks down --root {root}",
        )


def _failed(service: _Starting, what: str) -> UserError:
    try:
        lines = service.log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    # What make says is only that its recipe failed.
    spoken = [line.strip() for line in lines if line.strip() and not line.startswith("make: ")]
    last = spoken[-1] if spoken else "nothing"
    return UserError(
        f"The {service.name} {what}; the last line of its log is: {last[:300]}",
        f"Read {service.log}; everything else was stopped again.",
    )
