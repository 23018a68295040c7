"""What tells one process from all others, on all machines, whatever pids are used again and clocks are set to."""

from __future__ import annotations

import hashlib
import socket
import sys
from functools import cache
from pathlib import Path

import psutil


@cache
def machine() -> str:
    """Equal for processes whose pids may be compared: the same machine, started once, and the same container."""
    try:
        booted = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        pids = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        booted, pids = str(int(psutil.boot_time())), ""
    return hashlib.sha256(f"{socket.gethostname()} {booted} {pids}".encode()).hexdigest()[:12]


def start_mark(pid: int) -> str | None:
    """When a process of this machine was started, as no clock that is set anew can change; None when it has ended.

    A zombie has ended, and only waits to be collected.
    """
    if sys.platform != "linux":
        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.0f}"
        except psutil.Error:
            return None
    try:
        # Its name stands before this, in brackets, and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    # Clock ticks since the machine was started.
    return None if fields[0] in "ZX" else fields[19]


def name_of(pid: int) -> str:
    """The name of a process of this machine, which no other one ever has."""
    return f"{machine()}-{pid}-{start_mark(pid)}"
