"""Open connections, as the operating system shows them."""

from __future__ import annotations

import os

import psutil

from runbooks.drift import ProcessView, look_at
from runbooks.drift.processes import GONE
from runbooks.workers import Worker


def to_port(worker: Worker, port: int) -> set[str] | None:
    """The worker's side of its connections to a port, main process and children, such as ``127.0.0.1:40512``.

    None when they may not be seen.
    """
    local = set()
    for view in (worker.process, *worker.children):
        try:
            connections = view.handle.net_connections("tcp")
        except GONE:
            continue
        except psutil.AccessDenied:
            return None
        for each in connections:
            if each.status == psutil.CONN_ESTABLISHED and each.raddr and each.raddr.port == port:
                ip = each.laddr.ip.removeprefix("::ffff:")
                local.add(f"[{ip}]:{each.laddr.port}" if ":" in ip else f"{ip}:{each.laddr.port}")
    return local


def listener_on(port: int) -> ProcessView | None:
    """The process that listens on a port of this machine; None when there is none, or it may not be seen."""
    try:
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.pid and each.laddr and each.laddr.port == port:
                return look_at(each.pid)
    except psutil.AccessDenied:
        return None
    return None


def is_orphan(process: ProcessView) -> bool:
    """Whether what started it has gone.

    It then hangs below a process of another session. One that leads a session was put in the background on purpose.
    """
    try:
        own = os.getsid(process.pid)
        return own != process.pid and os.getsid(process.ppid) != own
    except OSError:
        return False
