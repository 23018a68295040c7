"""The lab's processes: how they are started, how they are found again, and the environment that they get."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

MARKER = "GENONAUT_LAB"
"""Every process of a lab has this variable, with the lab's folder: a worker that was restarted by hand too."""

WORKER_APP = "runbooks.genonaut.worker.queue_app:celery_app"
"""What stands after ``-A`` on the command line of a worker."""


def scripts_folder() -> Path:
    """Where this interpreter's console scripts are (``celery``, ``kernie-gen``)."""
    return Path(sysconfig.get_path("scripts"))


def lab_environment(
    root: Path, env_target: str, file_variables: Collection[str], environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of a process of the lab, made from that of this process.

    What the lab's own files set is taken out, so that an exported ``COMFYUI_URL`` of the shell does not decide over
    the lab; so are Celery's own variables and those of an outer ``make``.

    Args:
        root: the lab's folder.
        env_target: such as ``local-demo``.
        file_variables: variables that the lab's files set.
        environ: the environment to begin with; ``os.environ`` by default.
    """
    environ = os.environ if environ is None else environ
    kept = {
        name: value
        for name, value in environ.items()
        if name not in file_variables
        and not name.startswith(("CELERY_", "MAKE"))
        and name not in ("MFLAGS", "GENONAUT_ROOT", "ENV_TARGET")
    }
    folders = [str(scripts_folder()), str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]
    kept["PATH"] = os.pathsep.join(dict.fromkeys(folders))
    # A proxy of the environment has no business between the lab's own processes.
    for name in ("no_proxy", "NO_PROXY"):
        kept[name] = ",".join(filter(None, (kept.get(name), "localhost,127.0.0.1")))
    return kept | {"ENV_TARGET": env_target, MARKER: str(root), "PYTHONUNBUFFERED": "1"}


def spawn(
    command: Sequence[str], *, root: Path, environ: Mapping[str, str], log: Path, pass_fds: Iterable[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a service in a session of its own, without a terminal, with its output appended to a file.

    It is waited for in the background, so that it does not stay as a zombie when it ends.

    Args:
        command: the command line.
        root: working directory.
        environ: its whole environment.
        log: file that standard output and standard error go to.
        pass_fds: descriptors that it inherits.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
    return process


def lab_processes(root: Path) -> list[psutil.Process]:
    """Every living process that carries the lab's marker, but for this one and those that it descends from."""
    return _with_variable(MARKER, root)


def users_of(root: Path) -> list[psutil.Process]:
    """Every living process that was told to use a lab, such as a page's step, but for this one and its parents."""
    return _with_variable("GENONAUT_ROOT", root)


def worker_mains(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Among processes, the main process of every Celery worker; a pool child has a parent that is a worker too."""
    workers = [process for process in processes if is_worker(process)]
    pids = {process.pid for process in workers}
    return [process for process in workers if _parent_of(process) not in pids]


def is_worker(process: psutil.Process) -> bool:
    """Whether a process is a worker of the lab's application, main process or pool child; its shell is not."""
    arguments = command_of(process)
    return WORKER_APP in arguments and "worker" in arguments


def is_broker(process: psutil.Process) -> bool:
    """Whether a process is the embedded broker."""
    return Path((command_of(process) or [""])[0]).name == "valkey-server"


def command_of(process: psutil.Process) -> list[str]:
    """The command line of a process, empty when it is gone."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs. A zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _parent_of(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def _with_variable(name: str, root: Path) -> list[psutil.Process]:
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for process in psutil.process_iter() if process.pid not in own and _names(process, name, root)]


def _names(process: psutil.Process, name: str, root: Path) -> bool:
    try:
        return process.environ().get(name) == str(root) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False
