"""Find the main process of exactly the worker meant, and name the ones that are nearly it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runbooks.drift import ProcessView, look_for, words_of_files
from runbooks.drift.processes import own_uid
from runbooks.errors import UserError
from runbooks.settings import Layer, Layers, read_layers
from runbooks.workers.command import DEFAULT_APP, WorkerCommand, read_command

BROKER_VARIABLES = ("CELERY_BROKER_URL", "REDIS_URL")


@dataclass(frozen=True)
class Worker:
    """The main process of a worker.

    Attributes:
        process: the main process.
        command: what its command line says.
        children: its pool children. They have the same command line, and are never signalled.
        broker: the broker's URL as its environment and the files give it; None when neither does.
    """

    process: ProcessView
    command: WorkerCommand
    children: tuple[ProcessView, ...] = ()
    broker: str | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """Process id of the main process."""
        return self.process.pid

    @property
    def env_target(self) -> str | None:
        """``ENV_TARGET`` of its environment; None when it is not set or may not be read."""
        return (self.process.environ or {}).get("ENV_TARGET")


@dataclass(frozen=True)
class NearMiss:
    """A worker of the same application that is not the one meant, and why not."""

    worker: Worker
    why: str
    unreadable: bool = False


@dataclass(frozen=True)
class Found:
    """The workers meant, oldest first, and the near misses."""

    root: Path
    env_target: str
    workers: tuple[Worker, ...]
    near_misses: tuple[NearMiss, ...]


def find_workers(
    env_target: str = "local-demo",
    root: Path | None = None,
    *,
    app: str = DEFAULT_APP,
    broker: str | None = None,
) -> Found:
    """Find the workers of one installation. Nothing is touched.

    A worker is meant when its command line runs ``app``, its environment says ``ENV_TARGET``, it works in ``root`` and
    this user may look into it. Where several are left that use different brokers, those on the broker that the files
    name are meant.

    Args:
        env_target: such as ``local-demo``.
        root: the folder with ``config/`` and ``env/``; see ``installation_root`` for the default.
        app: the Celery application as given to ``-A``.
        broker: URL of the broker; only workers that use it are meant.

    Raises:
        UserError: unknown target, unreadable files, or a system without the needed process information.
    """
    if sys.platform == "win32":
        raise UserError("Workers cannot be found on Windows.", "Run this where the worker runs: Linux, macOS or WSL.")
    layers = read_layers(installation_root(root), env_target, {})
    meant: list[Worker] = []
    near = [NearMiss(worker, "hides what it runs behind a title (setproctitle)") for worker in _titled()]
    for worker in running_workers(app, layers):
        why = _why_not(worker, layers, broker)
        if why is None:
            meant.append(worker)
        else:
            near.append(NearMiss(worker, why, worker.process.environ is None or worker.process.cwd is None))
    meant, others = _on_the_broker_of_the_files(meant, layers)
    return Found(layers.root, env_target, tuple(meant), (*near, *others))


def installation_root(root: Path | None = None) -> Path:
    """The folder of the installation: the one given, else ``GENONAUT_ROOT``, else here, else the lab's folder here."""
    if root is not None:
        return root.resolve()
    if "GENONAUT_ROOT" in os.environ:
        return Path(os.environ["GENONAUT_ROOT"]).resolve()
    here = Path.cwd()
    lab = here / ".lab"
    return lab if (lab / "config").is_dir() and not (here / "config" / "base.json").exists() else here


def running_workers(app: str | None, layers: Layers) -> list[Worker]:
    """The main processes of all workers of an application (of any, with None) on this machine, oldest first."""
    views = {view.pid: view for view in look_for(lambda argv: _runs(argv, app))}
    mains = [view for view in views.values() if not _is_pool_child(view, views)]
    workers = []
    for main in sorted(mains, key=lambda view: (view.started, view.pid)):
        command = read_command(main.argv)
        if command is not None:
            children = tuple(view for view in views.values() if view.ppid == main.pid)
            workers.append(Worker(main, command, children, _broker_of_worker(main, layers)))
    return workers


def broker_of(environ: Mapping[str, str], layers: Layers) -> str | None:
    """The broker that a process with this environment uses: ``env/.env``, its environment, then the other files."""
    words = words_of_files(layers)
    for name in BROKER_VARIABLES:
        word = words.get(name)
        if word is not None and word.origin.layer is Layer.ENV_OVERRIDE:
            return str(word.value)
        value = environ.get(name) or (str(word.value) if word is not None and word.value else None)
        if value:
            return value
    return None


def _titled() -> list[Worker]:
    """Main processes that setproctitle has renamed; it overwrites their command line and environment."""
    views = look_for(lambda argv: argv[0].startswith("[celeryd: ") and ":MainProcess]" in argv[0])
    return [Worker(view, WorkerCommand("", (), 0)) for view in views]


def _broker_of_worker(main: ProcessView, layers: Layers) -> str | None:
    environ = main.environ or {}
    if main.cwd is None or main.cwd.resolve() == layers.root:
        return broker_of(environ, layers)
    try:
        return broker_of(environ, read_layers(main.cwd, environ.get("ENV_TARGET", ""), {}))
    except UserError:
        return None


def _runs(argv: tuple[str, ...], app: str | None) -> bool:
    command = read_command(argv)
    return command is not None and (app is None or command.runs(app))


def _is_pool_child(view: ProcessView, views: Mapping[int, ProcessView]) -> bool:
    return view.ppid in views and views[view.ppid].argv == view.argv


def _why_not(worker: Worker, layers: Layers, broker: str | None) -> str | None:
    """The reason why a worker is not the one meant; None when it is."""
    process = worker.process
    if process.environ is None or process.cwd is None:
        return f"belongs to user {process.user}, and what it runs with may not be read by this one"
    if worker.env_target != layers.env_target:
        return f"has ENV_TARGET={worker.env_target}" if worker.env_target else "has no ENV_TARGET"
    if process.cwd.resolve() != layers.root:
        return f"works in {process.cwd}"
    if broker is not None and worker.broker != broker:
        return "uses another broker"
    return None


def _on_the_broker_of_the_files(meant: list[Worker], layers: Layers) -> tuple[list[Worker], list[NearMiss]]:
    named = broker_of({}, layers)
    there = [worker for worker in meant if worker.broker == named]
    if not there or len(there) == len(meant):
        return meant, []
    return there, [NearMiss(worker, "uses another broker") for worker in meant if worker.broker != named]


def is_ours(worker: Worker) -> bool:
    """Whether it runs as the user who asks."""
    return worker.process.uid == own_uid()
