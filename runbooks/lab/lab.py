"""``Lab``: one whole stack in a folder of its own, to start, look at and stop."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from runbooks.errors import UserError
from runbooks.lab import backends, processes
from runbooks.lab.lifeline import Lifeline
from runbooks.lab.start import Options, Progress, Start
from runbooks.lab.state import STATE_FILE, LabState, ProcessId, Service, lock, read_state, require_lab
from runbooks.lab.stop import Say, state_if_readable, stop_lab, wait_for_watcher


class Lab:
    """A broker, kernie-gen, the API and a Celery worker, in a folder with the layout of a Genonaut checkout.

    As a context manager it stops the lab at the end. If this process dies before, killed or not, the lab is stopped
    too, unless ``detach`` was called.

    Attributes:
        state: what runs, where.
    """

    def __init__(self, state: LabState, lifeline: Lifeline | None = None) -> None:
        self.state = state
        self._lifeline = lifeline

    @classmethod
    def start(
        cls,
        root: Path | str,
        *,
        incident: bool = False,
        comfyui: bool = False,
        free_ports: bool = False,
        env_target: str = "local-demo",
        redis_url: str | None = None,
        database_url: str | None = None,
        site: Path | str | None = None,
        temporary: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Lab:
        """Start a lab and return when every service answers.

        Args:
            root: its folder: a new or empty one, or that of an earlier lab, which is put back into its first state.
            incident: start it in the incident's state: the worker was started with the real ComfyUI's URL, then
                ``env/.env.{ENV_TARGET}`` was edited to the mock's, then the API was started.
            comfyui: send jobs to the real ComfyUI, as before the incident; the mock runs all the same.
            free_ports: choose free ports instead of 8001 (API), 8189 (mock), 8000 (real ComfyUI) and 8010 (site).
                The embedded broker always gets a free one.
            env_target: the lab's ``ENV_TARGET``.
            redis_url: a Redis server to use instead of the embedded broker; by default ``CELERY_BROKER_URL`` or
                ``REDIS_URL`` of the environment. The lab takes its first empty database, from the URL's number on.
                ``""`` for the embedded broker, whatever the environment says.
            database_url: a database to use instead of a SQLite file; by default ``DATABASE_URL`` of the environment.
                On PostgreSQL the lab makes a schema of its own in it.
            site: folder of a built site to serve.
            temporary: if this process dies, the lab is not only stopped, but removed (see ``discard``).
            on_progress: called with what happens meanwhile.

        Raises:
            UserError: a port is taken (its holder is named), the folder is not a lab's or cannot be written, a
                server does not answer, a service does not come up. Nothing is left running.
        """
        options = Options(
            root=Path(root).expanduser().resolve(),
            incident=incident,
            comfyui=comfyui,
            free_ports=free_ports,
            env_target=env_target,
            redis_url=redis_url,
            database_url=database_url,
            site=Path(site).resolve() if site else None,
            temporary=temporary,
            on_progress=on_progress,
        )
        return cls(*Start(options).run())

    @classmethod
    def attach(cls, root: Path | str) -> Lab:
        """The lab that runs in a folder, started by another process.

        Raises:
            UserError: there is no lab, or it does not run.
        """
        root = Path(root).expanduser().resolve()
        state = read_state(root)
        if state is None:
            raise UserError(f"The lab in {root} is not running.", f"Start it with: runbooks up --root {root}")
        return cls(state)

    @property
    def root(self) -> Path:
        """The lab's folder, absolute."""
        return self.state.root

    def environment(self) -> dict[str, str]:
        """The variables by which pages and helpers find this lab: ``GENONAUT_ROOT``, ``API_URL`` and so on.

        ``REDIS_URL``, ``CELERY_BROKER_URL`` and ``DATABASE_URL`` have their credentials.
        """
        return dict(self.state.environment)

    def services(self) -> tuple[Service, ...]:
        """The services as they are now: the worker with the main process that it has after a restart."""
        return tuple(self._as_it_is(service) for service in self.state.services)

    def stop(self, *, kill: bool = False, say: Say = lambda _: None) -> int:
        """Stop everything that runs of this lab, and tell how many processes that were; see ``stop_lab``.

        Args:
            kill: SIGKILL at once; a running job stays ``running`` for ever.
            say: called with a sentence about everything worth telling.
        """
        stopped = stop_lab(self.root, kill=kill, say=say)
        if self._lifeline:
            self._lifeline.end()
        return stopped

    def discard(self) -> None:
        """Stop the lab at once and remove what it made: its folder, its Redis database, its PostgreSQL schema."""
        stop_lab(self.root, kill=True)
        _remove(self.root, self.state.environment)
        # Not before: its guardian would do the rest.
        if self._lifeline:
            self._lifeline.end()

    def detach(self) -> None:
        """Let the lab outlive this process."""
        if self._lifeline:
            self.state = replace(self.state, guardian=None)
            self.state.write()
            self._lifeline.end()

    def wait(self, say: Say = lambda _: None) -> None:
        """Return when another command has stopped the lab; meanwhile ``say`` what ends and what is started anew."""
        with lock(self.root):
            if (self.root / STATE_FILE).exists():
                self.state = replace(self.state, watcher=ProcessId.of(os.getpid()))
                self.state.write()
        known = {service.name: service.pid for service in self.services()}
        while (self.root / STATE_FILE).exists():
            for service in self.state.services:
                now = self._as_it_is(service).pid
                if now == known[service.name] or not (self.root / STATE_FILE).exists():
                    continue
                known[service.name] = now
                log = f" Its log: {service.log}" if service.log else ""
                say(f"The {service.name} has {f'pid {now} now' if now else 'ended'}.{log}")
            time.sleep(0.3)

    def _as_it_is(self, service: Service) -> Service:
        if service.process is None or service.process.find():
            return service
        if service.name == "worker":
            mains = processes.worker_mains(processes.lab_processes(self.root))
            if mains:
                return replace(service, process=ProcessId.of(mains[0].pid))
        return replace(service, process=None)

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def discard(root: Path) -> None:
    """Stop at once what runs of a lab, and remove what it made, although nobody has its ``Lab`` any more.

    Args:
        root: the lab's folder, absolute.
    """
    state = state_if_readable(root)
    stop_lab(root, kill=True)
    _remove(root, state.environment if state else {})


def _remove(root: Path, environment: Mapping[str, str]) -> None:
    # A broker of the lab's own is gone by now.
    if (url := environment.get("REDIS_URL")) and backends.broker_answers(url):
        backends.release_redis(url, root)
    if url := environment.get("DATABASE_URL"):
        backends.release_database(url, root)
    shutil.rmtree(root)


def stop_folder(root: Path | str, *, kill: bool = False, say: Say = lambda _: None) -> int:
    """Stop what runs of the lab in a folder, whoever started it and whatever became of that process.

    Also for a lab whose state file is gone: its processes carry the folder in their environment.

    Returns:
        How many processes were stopped.

    Raises:
        UserError: there is no lab in that folder.
    """
    root = Path(root).expanduser().resolve()
    if not processes.lab_processes(root):
        require_lab(root)
    state = state_if_readable(root)
    stopped = stop_lab(root, kill=kill, say=say)
    if state:
        wait_for_watcher(state)
    return stopped
