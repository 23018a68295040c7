"""The processes that a page's steps leave behind, and how they are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable

import psutil

_GRACE_SECONDS = 2.0


def children() -> set[int]:
    """Return the pids of all descendants of this process, without the resource tracker of ``multiprocessing``."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there is none at all: the common case, and far cheaper than a look at every process
        return set()
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if not any("multiprocessing.resource_tracker" in word for word in process.cmdline()):
                found.add(process.pid)
    return found


def in_session(leader: int) -> list[int]:
    """Return the pids of all processes of the session that process ``leader`` began."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                found.append(pid)
    return found


def stop(pids: Iterable[int]) -> None:
    """End processes: ask them first, kill those that are still there after two seconds."""
    asked = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            process.send_signal(signal.SIGTERM)
            asked.append(process)
    for process in _wait(asked):
        with contextlib.suppress(psutil.Error):
            process.kill()
    _wait(asked)


def _wait(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Wait for the end of processes, and return those that are still there. A zombie has ended."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while (alive := [process for process in processes if _is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
