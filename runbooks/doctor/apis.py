"""Find the API of an installation, whichever server runs it."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from runbooks.drift import ProcessView, look_at, look_for
from runbooks.drift.processes import GONE
from runbooks.settings import Layers
from runbooks.workers.supervisor import program_of

SERVERS = frozenset({"uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "fastapi"})
"""Programs that serve ASGI applications."""


@dataclass(frozen=True)
class Api:
    """An API.

    Attributes:
        main: the process that was started.
        serving: the one that read the settings: a child where a reloader or a manager only watches.
    """

    main: ProcessView
    serving: ProcessView


def find_apis(layers: Layers, port: int) -> list[Api]:
    """The APIs that work in the installation's folder for its target, oldest first.

    Where one of them listens on ``port``, those that do not are something else that is served from there.
    """
    views = [view for view in look_for(_serves) if _belongs(view, layers)]
    pids = {view.pid for view in views}
    mains = [view for view in views if view.ppid not in pids]
    listening = [view for view in mains if port in _ports(view)]
    chosen = listening or [view for view in mains if (view.environ or {}).get("ENV_TARGET") == layers.env_target]
    return [Api(view, _serving(view)) for view in sorted(chosen, key=lambda view: view.started)]


def _serves(argv: tuple[str, ...]) -> bool:
    program = program_of(argv)
    return program in SERVERS or program == "api" or program.endswith(".api")


def _belongs(view: ProcessView, layers: Layers) -> bool:
    if view.cwd is None or view.environ is None or view.cwd.resolve() != layers.root:
        return False
    return view.environ.get("ENV_TARGET", layers.env_target) == layers.env_target


def _family(view: ProcessView) -> list[psutil.Process]:
    try:
        return [view.handle, *view.handle.children()]
    except (*GONE, psutil.AccessDenied):
        return [view.handle]


def _ports(view: ProcessView) -> set[int]:
    found: set[int] = set()
    for process in _family(view):
        try:
            listening = [each for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
        except (*GONE, psutil.AccessDenied):
            continue
        found |= {each.laddr.port for each in listening}
    return found


def _serving(view: ProcessView) -> ProcessView:
    """A reloader, or a server with several processes, starts each by ``multiprocessing.spawn``; gunicorn forks."""
    for child in _family(view)[1:]:
        seen = look_at(child.pid)
        if seen is not None and (seen.argv == view.argv or any("spawn_main" in word for word in seen.argv)):
            return seen
    return view
