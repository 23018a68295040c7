"""Start a lab: check first, write the folder, start all services at once, wait until each of them answers."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runbooks.errors import UserError
from runbooks.lab import backends, processes, services
from runbooks.lab.layout import Layout, cannot_write, fill_folder, make_folder, require_own_folder, write_file
from runbooks.lab.lifeline import Lifeline
from runbooks.lab.ports import Ports, Reservations, require_free
from runbooks.lab.services import Recipe
from runbooks.lab.state import MARKER_FILE, LabState, ProcessId, Service, lock
from runbooks.lab.stop import stop_unlocked

READY_TIMEOUT = 60.0
"""Seconds that the services get to come up."""
NEEDED = ("celery", "redis", "fastapi", "jinja2", "uvicorn", "sqlalchemy", "requests", "aiohttp", "PIL")
"""What the extra ``lab`` installs."""


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
    temporary: bool = False
    on_progress: Callable[[Progress], None] | None = None


@dataclass(frozen=True)
class _Started:
    """A service whose process runs."""

    recipe: Recipe
    process: subprocess.Popen[bytes]


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
                try:
                    started = self._run_locked(layout)
                except PermissionError as error:
                    raise cannot_write(self.root, error) from error
            undo.pop_all()
            return started

    def _run_locked(self, layout: Layout) -> tuple[LabState, Lifeline]:
        for name in fill_folder(layout, mock=not (self.options.incident or self.options.comfyui)):
            kept = self.root / "run" / "replaced" / name
            self._note("lab", f"{name} was edited since; it is put back, and your version kept as {kept}")
        lifeline = Lifeline(self.root, temporary=self.options.temporary)
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
        given = self.options.redis_url
        if given is None:
            given = os.environ.get("CELERY_BROKER_URL") or os.environ.get("REDIS_URL")
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
        embedded = layout.redis_url == f"redis://127.0.0.1:{layout.ports.broker}/0"
        started = [self._spawn(layout, services.broker(layout))] if embedded else []
        worker = self._spawn(layout, services.worker(layout))
        # The mock inherits the reservation of the port on which nothing listens.
        mock = self._spawn(layout, services.mock(layout), keeps=self._reservations.fileno(layout.ports.real))
        started += [worker, mock]
        if self.options.site:
            started.append(self._spawn(layout, services.site(layout, self.options.site)))
        if self.options.incident:
            self._edit_behind_the_worker_s_back(layout, worker)
        started.append(self._spawn(layout, services.api(layout)))
        up = self._wait(started)
        if not embedded:
            up.append(Service("broker", backends.without_password(layout.redis_url), None, None))
        return sorted(up, key=lambda service: services.ORDER.index(service.name))

    def _edit_behind_the_worker_s_back(self, layout: Layout, worker: _Started) -> None:
        """The incident: what the worker has read changes, and only the API, which is started after, gets to know."""
        while not self._checked(worker, services.FROZEN in worker.recipe.log.read_bytes()):
            time.sleep(0.02)
        write_file(self.root, f"env/.env.{layout.env_target}", layout.target_env(mock=True))
        self._note("worker", f"The worker has read COMFYUI_URL={layout.real_url}.")
        self._note("api", f"Now the file says {layout.mock_url}, and only the API gets to know.")

    def _spawn(self, layout: Layout, recipe: Recipe, keeps: int | None = None) -> _Started:
        """Start a service.

        Args:
            layout: the lab.
            recipe: the service.
            keeps: a descriptor that it inherits.
        """
        self._tell(Progress(recipe.name, "starting", recipe.url, self._seconds, log=recipe.log))
        if recipe.port:
            self._reservations.hand_over(recipe.port)
        process = processes.spawn(
            recipe.command,
            root=recipe.cwd,
            environ=layout.process_environment(),
            log=recipe.log,
            pass_fds=[] if keeps is None else [keeps],
        )
        return _Started(recipe, process)

    def _wait(self, started: Iterable[_Started]) -> list[Service]:
        """Wait until all answer."""
        waiting = list(started)
        up: list[Service] = []
        while waiting:
            for one in list(waiting):
                if self._checked(one, one.recipe.answers(one.process.pid)):
                    waiting.remove(one)
                    up.append(self._service(one))
            time.sleep(0.02)
        return up

    def _checked(self, started: _Started, holds: bool) -> bool:
        """What was just seen of a service; that it has ended, or that its time has passed, is an error."""
        # After looking: one that ended after it had answered is dead too.
        if started.process.poll() is not None:
            raise _failed(started.recipe, f"ended with exit code {started.process.returncode}")
        if not holds and self._seconds > READY_TIMEOUT:
            raise _failed(started.recipe, f"did not answer within {READY_TIMEOUT:g} s")
        return holds

    def _service(self, up: _Started) -> Service:
        recipe = up.recipe
        main = services.main_process(up.process.pid) if recipe.name == "worker" else None
        pid = main.pid if main else up.process.pid
        self._tell(Progress(recipe.name, "up", recipe.url, self._seconds, pid, recipe.log))
        return Service(recipe.name, recipe.url, ProcessId.of(pid), recipe.log)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _note(self, service: str, text: str) -> None:
        self._tell(Progress(service, "note", text, self._seconds))

    def _tell(self, progress: Progress) -> None:
        if self.options.on_progress:
            self.options.on_progress(progress)


def _check_installed(options: Options) -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"The lab needs Python packages that are not installed: {', '.join(missing)}.",
            "Install them: pip install 'genonaut-runbooks[lab]'",
        )
    for script in ("celery", "kernie-gen"):
        if not (processes.scripts_folder() / script).exists():
            raise UserError(
                f"There is no {script} in {processes.scripts_folder()}.",
                "Install it: pip install 'genonaut-runbooks[lab]'",
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


def _failed(recipe: Recipe, what: str) -> UserError:
    try:
        lines = recipe.log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    # What make says is only that its recipe failed.
    spoken = [line.strip() for line in lines if line.strip() and not line.startswith("make: ")]
    last = spoken[-1] if spoken else "nothing"
    return UserError(
        f"The {recipe.name} {what}; the last line of its log is: {last[:300]}",
        f"Read {recipe.log}; everything else was stopped again.",
    )
