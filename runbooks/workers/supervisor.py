"""Who keeps a worker running: nobody, a terminal, or a supervisor that must be asked instead.

Only those count that really keep *this* worker: between it and its keeper there is nothing but what starts it (make,
a shell, ``env`` and the like). A worker that a test runner started below a supervised agent is not supervised.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath

from runbooks.drift import ProcessView, ancestors
from runbooks.drift.processes import cgroup, look_at

STARTERS = frozenset(
    {
        "make",
        "gmake",
        "sh",
        "bash",
        "dash",
        "zsh",
        "ksh",
        "fish",
        "env",
        "nice",
        "ionice",
        "nohup",
        "setsid",
        "timeout",
        "stdbuf",
    }
    | {
        "sudo",
        "su",
        "runuser",
        "gosu",
        "su-exec",
        "setpriv",
        "uv",
        "poetry",
        "pipenv",
        "pdm",
        "hatch",
        "direnv",
        "dotenv",
        "just",
        "task",
    }
)
INIT_SHIMS = frozenset({"tini", "dumb-init", "docker-init", "catatonit"})
PROCFILE_RUNNERS = frozenset({"honcho", "foreman", "hivemind", "watchmedo", "watchfiles", "nodemon", "entr"})


SUPERVISORS = {
    "supervisord": "supervisorctl restart {name}",
    "circusd": "circusctl restart {name}",
    "pm2": "pm2 restart {name} --update-env",
    "PM2": "pm2 restart {name} --update-env",
    "runsv": "sv restart {folder}",
    "supervise": "svc -t {folder}",
    "s6-supervise": "s6-svc -r {folder}",
}
"""For each supervisor what restarts one of its processes. The last three work in the service's own folder."""

NAME_VARIABLES = ("SUPERVISOR_PROCESS_NAME", "name")
"""Where supervisord and PM2 tell a process its name. Circus does not."""

_INTERPRETER = re.compile(r"(python|pypy|ruby|perl|node)[\d.]*$")
_CONTAINER = re.compile(r"(?:docker|libpod|cri-containerd|crio|/kubepods)[^\n]*?(?P<id>[0-9a-f]{64})")
_CONTAINER_V1 = re.compile(r"/(?:docker|lxc)/(?P<id>[0-9a-f]{64})")
_UNIT = re.compile(r"/(?P<unit>[^/\n]+\.service)(?:/|$)", re.MULTILINE)


class Keeper(StrEnum):
    """What kind of thing keeps a worker running."""

    TERMINAL = "terminal"
    SYSTEMD = "systemd"
    CONTAINER = "container"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True)
class Kept:
    """Who keeps a worker, in words, and what to do instead of stopping it from here.

    Attributes:
        by: kind of keeper.
        what: one sentence that names it.
        do: the right command.
    """

    by: Keeper
    what: str
    do: str


def who_keeps(worker: ProcessView) -> Kept | None:
    """Who keeps this worker running; None when nobody does, so that it may be restarted from here."""
    chain = ancestors(worker)
    starters = starters_above(chain)
    keeper = chain[len(starters)] if len(chain) > len(starters) else None
    top = starters[-1] if starters else worker
    return (
        kept_by_container(worker, top, cgroup(worker.pid), cgroup(os.getpid()))
        or (keeper and kept_by_supervisor(worker, keeper))
        or kept_by_systemd(worker, (worker, *starters), cgroup(worker.pid), main_pid)
        or kept_by_terminal(worker, top)
    )


def starters_above(chain: Sequence[ProcessView]) -> tuple[ProcessView, ...]:
    """The ancestors that only started the worker and wait for it, nearest first."""
    found = []
    for view in chain:
        if view.pid == 1 or program_of(view.argv) not in STARTERS or not _is_command(view):
            break
        found.append(view)
    return tuple(found)


def program_of(argv: Sequence[str]) -> str:
    """The name of the program that a command line runs, also below an interpreter: ``python /bin/honcho`` is honcho."""
    # Daemons set titles such as "PM2 v5.3: God Daemon".
    first = argv[0] if argv[0].startswith("/") else re.split(r"[\s:]", argv[0], maxsplit=1)[0]
    name = PurePath(first).name.lstrip("-")
    if _INTERPRETER.match(name):
        rest = list(argv[1:])
        while rest and rest[0].startswith("-") and rest[0] != "-m":
            rest.pop(0)
        if rest and rest[0] == "-m":
            rest.pop(0)
        if rest:
            name = PurePath(rest[0]).name
    return name


def _is_command(view: ProcessView) -> bool:
    """A shell somebody types into is not a starter, one that runs a command or a script is."""
    return any(not word.startswith("-") for word in view.argv[1:])


def kept_by_supervisor(worker: ProcessView, keeper: ProcessView) -> Kept | None:
    """A program whose business is to keep others running."""
    program = program_of(keeper.argv)
    named = f"{program} (pid {keeper.pid})"
    if program.startswith(("containerd-shim", "conmon")):
        return Kept(Keeper.CONTAINER, f"It runs in a container (below {named}).", "Restart it: docker restart NAME")
    if program in PROCFILE_RUNNERS:
        do = f"Stop {program} where it runs (Ctrl-C once), and start it again there."
    elif program in SUPERVISORS:
        command = SUPERVISORS[program].format(name=_name_there(worker), folder=keeper.cwd or keeper.argv[-1])
        do = f"Restart it there: {command}"
    else:
        return None
    return Kept(Keeper.SUPERVISOR, f"It is kept running by {named}.", do)


def _name_there(worker: ProcessView) -> str:
    """What its supervisor calls the process."""
    environ = worker.environ or {}
    name = next((environ[variable] for variable in NAME_VARIABLES if variable in environ), "NAME")
    group = environ.get("SUPERVISOR_GROUP_NAME", name)
    return name if group == name else f"{group}:{name}"


def kept_by_container(worker: ProcessView, top: ProcessView, cgroups: str, own_cgroups: str) -> Kept | None:
    """A container's main process: seen from outside by its cgroup, from inside by being (or hanging below) pid 1."""
    container = container_id(cgroups)
    if container is not None and container != container_id(own_cgroups):
        return _in_container(container[:12], worker.environ or {})
    first = look_at(1)
    if first is None:
        return None
    if worker.pid == 1 or (top.ppid == 1 and _is_started_by(first, top)):
        host = (worker.environ or {}).get("HOSTNAME", "")
        known = container[:12] if container else host
        return _in_container(known or "NAME", worker.environ or {})
    return None


def _in_container(name: str, environ: Mapping[str, str]) -> Kept:
    if "KUBERNETES_SERVICE_HOST" in environ:
        pod = environ.get("HOSTNAME", "POD")
        return Kept(
            Keeper.CONTAINER,
            f"It is the main process of pod {pod}.",
            f"Let its controller start a fresh one: kubectl delete pod {pod}",
        )
    return Kept(
        Keeper.CONTAINER,
        f"It is the main process of container {name}.",
        f"Restart that: docker restart {name} (a changed --env-file or image needs docker compose up -d instead)",
    )


def container_id(cgroups: str) -> str | None:
    """The 64 hex digits of the container in ``/proc/PID/cgroup``; None outside a container or where they are hidden."""
    found = _CONTAINER.search(cgroups) or _CONTAINER_V1.search(cgroups)
    return found["id"] if found else None


def _is_started_by(first: ProcessView, top: ProcessView) -> bool:
    """Whether pid 1 started ``top``, its child: everything orphaned hangs below pid 1, too.

    The entry point shares pid 1's session. Some shims open a session for it, but name it in their own command line.
    """
    if program_of(first.argv) not in INIT_SHIMS | STARTERS:
        return False
    arguments = top.argv[1:]
    return os.getsid(top.pid) == os.getsid(1) or (bool(arguments) and first.argv[-len(arguments) :] == arguments)


def kept_by_systemd(
    worker: ProcessView, family: Sequence[ProcessView], cgroups: str, main_pid_of: Callable[[str, bool], int | None]
) -> Kept | None:
    """A systemd service whose main process is the worker, what started it, or a worker beside it (``celery multi``).

    Args:
        worker: the worker's main process.
        family: it and its starters.
        cgroups: text of its ``/proc/PID/cgroup``.
        main_pid_of: see ``main_pid``.
    """
    found = unit_of(cgroups)
    if found is None:
        return None
    unit, of_user = found
    main = main_pid_of(unit, of_user)
    pids = {view.pid for view in family}
    # Without systemctl: since version 248 the unit's main process finds its own pid in this variable.
    announced = (worker.environ or {}).get("SYSTEMD_EXEC_PID", "")
    if main is not None and main != 0 and main not in pids:
        other = look_at(main)
        if other is None or other.argv != worker.argv:
            return None
    if main is None and not (announced.isdigit() and int(announced) in pids):
        return None
    command = f"systemctl --user restart {unit}" if of_user else f"sudo systemctl restart {unit}"
    return Kept(Keeper.SYSTEMD, f"It belongs to the systemd unit {unit}.", f"Restart that: {command}")


def unit_of(cgroups: str) -> tuple[str, bool] | None:
    """The systemd service in ``/proc/PID/cgroup`` and whether it is one of the user's own; None if there is none."""
    line = next((line for line in cgroups.splitlines() if line.startswith("0::") or ":name=systemd:" in line), "")
    units = [unit for unit in _UNIT.findall(line) if not unit.startswith("user@")]
    if not units:
        # The unified line is empty on hybrid systems, where systemd keeps a hierarchy of its own.
        named = next((line for line in cgroups.splitlines() if ":name=systemd:" in line), "")
        line, units = named, [unit for unit in _UNIT.findall(named) if not unit.startswith("user@")]
    return (units[-1], "/user@" in line) if units else None


def main_pid(unit: str, of_user: bool) -> int | None:
    """Main process of a systemd unit; 0 if it has none, None if systemd cannot be asked."""
    command = ["systemctl", *(["--user"] if of_user else []), "show", "--property=MainPID", "--value", unit]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = asked.stdout.strip()
    return int(text) if asked.returncode == 0 and text.isdigit() else None


def kept_by_terminal(worker: ProcessView, top: ProcessView) -> Kept | None:
    """A terminal in which somebody started it."""
    if worker.terminal is None or not worker.attended:
        return None
    where = f"terminal {worker.terminal.removeprefix('/dev/')}"
    command = shlex.join(_typed(top))
    return Kept(
        Keeper.TERMINAL,
        f"It runs in {where}, started there with: {command}",
        "Press Ctrl-C there once (twice would lose the running job), wait until the prompt is back, and run it again "
        "there. A value that was exported in that shell survives this: unset it first.",
    )


def _typed(top: ProcessView) -> list[str]:
    """What somebody typed to start it: without the interpreter and the folder of a script."""
    words = list(top.argv)
    if _INTERPRETER.match(PurePath(words[0]).name) and len(words) > 1 and Path(words[1]).is_absolute():
        words = [Path(words[1]).name, *words[2:]]
    return words
