"""What the operating system knows of a process: enough to recognise it, to judge it and to signal it safely."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import psutil

GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessView:
    """One process at the moment it was looked at. What may not be read is None.

    Attributes:
        pid: process id.
        ppid: its parent; 1 (or another reaper) when the process that started it has gone.
        argv: the command line, never empty.
        environ: the environment it was **started** with. Later changes (``load_dotenv``) do not show here.
        cwd: its working directory.
        user: name of the user it runs as.
        uid: effective user id.
        started: when it was started, to about 10 ms on Linux.
        terminal: its controlling terminal (``/dev/pts/3``), None without one.
        attended: whether it has to do with that terminal: stands in its foreground or writes to it. A background job
            whose output goes elsewhere (``nohup … > log &``) does not.
        stopped: whether it is stopped (SIGSTOP, Ctrl-Z): it then handles no signal but SIGCONT and SIGKILL.
        handle: psutil's process, which knows a reused pid from the one it was made for.
    """

    pid: int
    ppid: int
    argv: tuple[str, ...]
    environ: Mapping[str, str] | None = field(repr=False)
    cwd: Path | None
    user: str
    uid: int
    started: datetime
    terminal: str | None
    attended: bool
    stopped: bool
    handle: psutil.Process = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """The program's name without its folder, such as ``make``."""
        return Path(self.argv[0]).name


def look_at(pid: int) -> ProcessView | None:
    """A process as it is now; None when it is gone, a zombie, or has no command line (kernel threads)."""
    try:
        return _view(psutil.Process(pid))
    except (*GONE, psutil.AccessDenied):
        return None


def look_for(wanted: Callable[[tuple[str, ...]], bool]) -> Iterator[ProcessView]:
    """All processes whose command line is ``wanted``, in no particular order."""
    for process in psutil.process_iter():
        try:
            argv = tuple(process.cmdline())
            if argv and wanted(argv) and (view := _view(process)):
                yield view
        except (*GONE, psutil.AccessDenied):
            continue


def ancestors(view: ProcessView) -> tuple[ProcessView, ...]:
    """Parent, grandparent and so on, as far up as can be seen."""
    found = []
    seen = {view.pid}
    parent = look_at(view.ppid)
    while parent is not None and parent.pid not in seen:
        found.append(parent)
        seen.add(parent.pid)
        parent = look_at(parent.ppid)
    return tuple(found)


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs. A zombie does not: it has ended and only waits to be collected."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except GONE:
        return False


def is_stopped(pid: int) -> bool:
    """Whether it is stopped (SIGSTOP, Ctrl-Z). A tenth of the price of ``look_at``; False when it is gone."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except (*GONE, psutil.AccessDenied):
        return False


def own_uid() -> int:
    """The effective user id of this process."""
    return psutil.Process().uids().effective


def cgroup(pid: int) -> str:
    """The text of ``/proc/PID/cgroup``; empty where there is none (macOS) or it may not be read."""
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except OSError:
        return ""


def _view(process: psutil.Process) -> ProcessView | None:
    with process.oneshot():
        argv = tuple(process.cmdline())
        if not argv or process.status() == psutil.STATUS_ZOMBIE:
            return None
        terminal, attended = _terminal(process)
        return ProcessView(
            pid=process.pid,
            ppid=process.ppid(),
            argv=argv,
            environ=_permitted(process.environ),
            cwd=_folder(process),
            user=process.username(),
            uid=process.uids().effective,
            started=_started(process),
            terminal=terminal,
            attended=attended,
            stopped=process.status() == psutil.STATUS_STOPPED,
            handle=process,
        )


def _permitted(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except psutil.AccessDenied:
        return None


def _folder(process: psutil.Process) -> Path | None:
    text = _permitted(process.cwd)
    return Path(text) if text else None


def _started(process: psutil.Process) -> datetime:
    seconds = process.create_time()
    if sys.platform == "linux":
        # psutil adds the boot time of /proc/stat, which is rounded to a second; an edit within that second matters.
        seconds += time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) - psutil.boot_time()
    return datetime.fromtimestamp(seconds, UTC)


def _terminal(process: psutil.Process) -> tuple[str | None, bool]:
    """Its controlling terminal, and whether it has to do with it: stands in its foreground or writes to it."""
    if sys.platform != "linux":
        name = process.terminal()
        return name, name is not None
    # psutil looks the number up among the terminals of its first call; one of another mount is not even there.
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None, False
    group, number, foreground = int(fields[2]), int(fields[4]), int(fields[5])
    if number == 0:
        return None, False
    major, minor = os.major(number), os.minor(number)
    name = f"/dev/pts/{minor + 256 * (major - 136)}" if 136 <= major <= 143 else "/dev/tty"
    return name, group == foreground or _writes_to_a_terminal(process.pid)


def _writes_to_a_terminal(pid: int) -> bool:
    try:
        return str(Path(f"/proc/{pid}/fd/1").readlink()).startswith(("/dev/pts/", "/dev/tty", "/dev/console"))
    except OSError:
        return True
