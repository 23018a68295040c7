"""Stop a lab: in order, gently first, and only what carries its marker."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from runbooks.errors import UserError
from runbooks.lab import processes
from runbooks.lab.layout import ENVIRONMENT_FILE
from runbooks.lab.state import STATE_FILE, LabState, lock, read_state

WORKER_GRACE = 15.0
"""Seconds that a worker gets to finish its running job."""
WORKER_PATIENCE = 4.0
"""Seconds after which that is said; an idle worker is gone by then."""
OTHERS_GRACE = 5.0
"""Seconds that every other service gets to end."""

Say = Callable[[str], None]


def stop_lab(root: Path, *, kill: bool = False, say: Say = lambda _: None) -> int:
    """Stop whatever runs of the lab at ``root``, whoever started it, and tell how many processes that were.

    The workers' main processes get SIGTERM first (a pool child that is signalled loses its job) and the API with
    them, as nothing of a running job needs it; then the mock and the rest; last the broker. What has not ended after
    its time is killed, and ``say`` is told.

    Args:
        root: the lab's folder, absolute.
        kill: SIGKILL all at once; a running job stays ``running`` for ever.
        say: called with a sentence about everything worth telling.

    Raises:
        UserError: another command has been starting or stopping this lab for a minute.
    """
    # A folder that someone has removed meanwhile has no lock; its processes still have the marker.
    with lock(root) if (root / "run").is_dir() else contextlib.nullcontext():
        return stop_unlocked(root, kill=kill, say=say)


def stop_unlocked(root: Path, *, kill: bool = False, say: Say = lambda _: None) -> int:
    """The same, for a caller that holds the lab's lock."""
    running = processes.lab_processes(root)
    try:
        if not kill:
            _stop_gently(root, running, say)
    finally:
        # Also when the gentle way is interrupted. More than once, as a process may just be starting another.
        _kill_all(root)
        for name in (STATE_FILE, ENVIRONMENT_FILE):
            (root / name).unlink(missing_ok=True)
    return len(running)


def wait_for_watcher(state: LabState, timeout: float = 10.0) -> None:
    """Wait until the ``runbooks up`` that watches the lab, and its guardian, have noticed that it is stopped."""
    if state.watcher:
        known = (state.watcher, state.guardian)
        _wait([found for process in known if process and (found := process.find())], timeout)


def state_if_readable(root: Path) -> LabState | None:
    """What the state file says, None when it says nothing: a lab is found by its marker too."""
    with contextlib.suppress(UserError):
        return read_state(root)
    return None


def _stop_gently(root: Path, running: list[psutil.Process], say: Say) -> None:
    workers = processes.worker_mains(running)
    apis = [process for process in running if "runbooks.genonaut.api" in processes.command_of(process)]
    _signal([*workers, *apis], psutil.Process.terminate)
    if busy := _wait(workers, WORKER_PATIENCE):
        say(f"The worker (pid {_pids(busy)}) finishes its running job; it has {WORKER_GRACE:g} s.")
        _insist(_wait(busy, WORKER_GRACE - WORKER_PATIENCE), "worker", WORKER_GRACE, say)
    rest = [process for process in processes.lab_processes(root) if not processes.is_broker(process)]
    _signal([process for process in rest if process not in apis], psutil.Process.terminate)
    _insist(_wait(rest, OTHERS_GRACE), "lab's process", OTHERS_GRACE, say)
    brokers = processes.lab_processes(root)
    _signal(brokers, psutil.Process.terminate)
    _insist(_wait(brokers, OTHERS_GRACE), "broker", OTHERS_GRACE, say)


def _kill_all(root: Path) -> None:
    for _ in range(5):
        if not (left := processes.lab_processes(root)):
            return
        _signal(left, psutil.Process.kill)
        _wait(left, OTHERS_GRACE)
    raise UserError(f"The lab's processes {_pids(left)} cannot be killed.", "Look at them with: ps -fp PID")


def _insist(left: list[psutil.Process], name: str, grace: float, say: Say) -> None:
    if left:
        lost = " A job that it was running stays `running`." if name == "worker" else ""
        say(f"The {name} (pid {_pids(left)}) did not end within {grace:g} s and was killed.{lost}")
        _signal(left, psutil.Process.kill)


def _signal(targets: Iterable[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for process in targets:
        with contextlib.suppress(psutil.NoSuchProcess):
            send(process)


def _wait(targets: list[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait until none of the processes lives; return those that still do after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while (alive := [process for process in targets if processes.is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _pids(some: Iterable[psutil.Process]) -> str:
    return ", ".join(str(process.pid) for process in some)
