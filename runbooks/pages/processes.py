"""The processes that a page's steps leave behind, and how they are ended."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # takes a while, and is only needed where there is something to end
    import psutil

_GRACE_SECONDS = 2.0
_SETTLING_SECONDS = 0.1
_LONGEST_SETTLING_SECONDS = 1.0
_SHELLS = ("bash", "sh", "dash", "zsh", "ksh")

End = Callable[[Iterable[int]], None]
"""Ends processes: ``stop`` or ``hang_up``."""


def children() -> set[int]:
    """Return the pids of all descendants of this process, without the resource tracker of ``multiprocessing``."""
    if not _has_children():
        return set()
    import psutil

    return _pids_of(psutil.Process().children(recursive=True))


def own_children() -> set[int]:
    """Return the pids of this process's children, without theirs."""
    if not _has_children():
        return set()
    try:
        tasks = [Path(f"/proc/self/task/{task}/children") for task in os.listdir("/proc/self/task")]  # noqa: PTH208
        return {int(pid) for task in tasks for pid in task.read_text("ascii").split()}
    except OSError:  # not Linux, or one without these files; or a thread has ended meanwhile
        import psutil

        return {child.pid for child in psutil.Process().children()}


def started_since(known: set[int]) -> list[int]:
    """Return the pids of this process's children that are not ``known``, and of theirs, as far as in its own group."""
    new = own_children() - known
    if not new:
        return []
    import psutil

    found = set()
    for pid in new:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            found |= _pids_of([process, *process.children(recursive=True)])
    return in_own_group(found)


def in_own_group(pids: Iterable[int]) -> list[int]:
    """Return those that are in this process's group. One that has left it is meant to live on by itself."""
    found = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(pid) == os.getpgrp():
                found.append(pid)
    return found


def in_session(leader: int) -> list[int]:
    """Return the pids of all processes of the session that process ``leader`` began."""
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                found.append(pid)
    return found


def stop(pids: Iterable[int]) -> None:
    """End processes: ask them first, kill those that are still there after two seconds."""
    pids = list(pids)
    if not pids:
        return
    import psutil

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


def hang_up(pids: Iterable[int]) -> None:
    """End processes as a terminal does that is closed, and leave alone those that are meant to outlive it.

    These ignore SIGHUP (``nohup``) or handle it (servers, which read their configuration again), and so do their
    children. Where the system does not say who does, all are sent SIGHUP. The leader of a session ends in any case;
    where it ignores SIGHUP (``trap '' HUP``), so does all that it starts, and that says nothing.
    """
    pids = list(pids)
    _let_settle(pids)
    deaf = {pid for pid in pids if _is_leader(pid) and _on_hang_up(pid)[0]}
    ended = [pid for pid in pids if not _outlives_its_terminal(pid, deaf)]
    for pid in ended:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGHUP)
    ended = ended if _SAYS_SIGNALS else [pid for pid in ended if _is_leader(pid)]
    _wait([process for pid in ended if (process := _process(pid))])
    stop(ended)


def system(command: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> int:
    """Do what ``os.system`` does, and let signals be heard meanwhile.

    The C library's own ignores Ctrl-C: it ends the command alone, and the step would go on with its next line.
    """
    sys.audit("os.system", os.fsencode(command))
    arguments = [b"/bin/sh", b"-c", os.fsencode(command)]
    code = subprocess.call(arguments, restore_signals=False, close_fds=False)
    return code << 8 if code >= 0 else -code


def wait_for_end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for the end of a child, no longer than so many seconds, and notice it at once."""
    if process.poll() is None and hasattr(os, "pidfd_open"):  # ``Popen.wait`` looks again and again, up to 50 ms apart
        descriptor = os.pidfd_open(process.pid)
        try:
            select.select([descriptor], [], [], seconds)
        finally:
            os.close(descriptor)
        seconds = 0.0
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


_SAYS_SIGNALS = Path("/proc/self/status").exists()


def _let_settle(pids: Iterable[int]) -> None:
    """Wait until no process may still come to ignore SIGHUP: ``nohup`` does that itself, some time after its start."""
    deadline = time.monotonic() + _LONGEST_SETTLING_SECONDS
    while any(_is_unsettled(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def _is_unsettled(pid: int) -> bool:
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        name, age = process.name(), time.time() - process.create_time()
        # Named as a shell: a part of one, or what has not become another program yet.
        young = _LONGEST_SETTLING_SECONDS / 2 if name in _SHELLS and not _is_leader(pid) else _SETTLING_SECONDS
        return age < young or name == "nohup"
    return False


def _outlives_its_terminal(pid: int, deaf: Collection[int]) -> bool:
    """Say whether a process, or one that it descends from, ignores or handles SIGHUP (a shell's handler is none).

    Args:
        pid: the process.
        deaf: leaders of sessions who ignore it, so that their children do without having been told to.
    """
    process = _process(pid)
    if process is None or not _SAYS_SIGNALS:
        return False
    import psutil

    with contextlib.suppress(OSError, psutil.Error):
        session = os.getsid(pid)
        for one in [process, *process.parents()]:
            if one.pid in (session, os.getpid()) or os.getsid(one.pid) != session:
                return False
            ignored, handled = _on_hang_up(one.pid)
            if (ignored and session not in deaf) or (handled and one.name() not in _SHELLS):
                return True
    return False


def _on_hang_up(pid: int) -> tuple[bool, bool]:
    """Say whether a process ignores SIGHUP, and whether it handles it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:
        return False, False
    ignored, handled = (int(mask, 16) & 1 == 1 for mask in re.findall(r"Sig(?:Ign|Cgt):\s*(\w+)", status))
    return ignored, handled


def _is_leader(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except OSError:
        return False


def _has_children() -> bool:
    """Say whether this process has any child: far cheaper than a look at every process."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _pids_of(processes: Iterable[psutil.Process]) -> set[int]:
    import psutil

    found = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if not any("multiprocessing.resource_tracker" in word for word in process.cmdline()):
                found.add(process.pid)
    return found


def _pids() -> list[int]:
    if _SAYS_SIGNALS:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - quicker
    import psutil

    return psutil.pids()


def _process(pid: int) -> psutil.Process | None:
    import psutil

    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _wait(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Wait for the end of processes, and return those that are still there. A zombie has ended."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while (alive := [process for process in processes if _is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
