"""Ports: free ones that stay ours until a service listens on them, and who holds one that is taken."""

from __future__ import annotations

import errno
import secrets
import shlex
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import psutil

from runbooks.errors import UserError
from runbooks.lab.processes import MARKER

# Below the range from which the system takes the local ports of outgoing connections, so that a service that is
# restarted finds its port still free.
LOWEST, HIGHEST = 12000, 32000


@dataclass(frozen=True)
class Ports:
    """The ports of one lab. Nothing listens on ``real``: it stands for the real ComfyUI, which is not there."""

    broker: int
    api: int = 8001
    mock: int = 8189
    real: int = 8000
    site: int = 8010


class Reservations:
    """Ports that are ours from choosing them until the services listen; a context manager.

    A reserved port is bound and does not listen: connections to it are refused, and nobody who looks for a free port
    gets it. On Linux a server that sets SO_REUSEADDR, as servers do, can listen on it meanwhile; elsewhere
    ``hand_over`` lets go first.
    """

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}

    def __enter__(self) -> Reservations:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for port in list(self._sockets):
            self.release(port)

    def choose(self) -> int:
        """A port that nobody uses and no other lab has reserved.

        Raises:
            UserError: two hundred random ports in a row were taken.
        """
        for _ in range(200):
            port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
            if self._reserve(port):
                return port
        raise UserError(
            f"No free port found between {LOWEST} and {HIGHEST}.", "Look what holds them all: ss -ltnp, or lsof -i"
        )

    def hand_over(self, port: int) -> None:
        """Say that a server is about to listen on this port."""
        if sys.platform != "linux":
            self.release(port)

    def fileno(self, port: int) -> int | None:
        """The descriptor to hand to a process that shall keep the port reserved, None if it is not reserved."""
        return self._sockets[port].fileno() if port in self._sockets else None

    def release(self, port: int) -> None:
        """Let go of a port; one that is not reserved is fine too."""
        if port in self._sockets:
            self._sockets.pop(port).close()

    def _reserve(self, port: int) -> bool:
        if not is_free(port):
            return False
        taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            taken.close()
            return False
        # After the bind: so that it failed if anyone had the port, and the server to come can have it.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sockets[port] = taken
        return True


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of both loopback addresses (``localhost`` may be either)."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            # Any other error says that this machine has no such address.
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
    return True


def require_free(port: int, wanted_by: str) -> None:
    """Make sure that nobody listens on a port.

    Raises:
        UserError: names the process that does, and both ways out.
    """
    if is_free(port):
        return
    holder = holder_of(port)
    if holder is None:
        who, stop = "a process of another user", f"Find it with: sudo ss -ltnp 'sport = :{port}'"
    else:
        who, stop = f"pid {holder.pid} ({describe(holder)})", f"Stop it with: {_way_to_stop(holder)}"
    raise UserError(
        f"Port {port}, wanted for the {wanted_by}, is taken by {who}.", f"{stop}, or use other ports with --free-ports."
    )


def holder_of(port: int) -> psutil.Process | None:
    """The process that listens on a port, None when there is none or the system does not tell."""
    for pid, connection in _listening():
        if connection.laddr and connection.laddr.port == port:
            try:
                return psutil.Process(pid)
            except psutil.NoSuchProcess:
                continue
    return None


def describe(process: psutil.Process) -> str:
    """Name and command line of a process, short enough for one line."""
    try:
        command = " ".join(process.cmdline()) or process.name()
        name = process.name()
    except psutil.Error:
        return "already gone"
    return f"{name}: {command if len(command) <= 100 else command[:99] + '…'}"


def _way_to_stop(holder: psutil.Process) -> str:
    try:
        lab = holder.environ().get(MARKER)
    except psutil.Error:
        lab = None
    return f"runbooks down --root {shlex.quote(lab)}" if lab else f"kill {holder.pid}"


def _listening() -> Iterator[tuple[int, Any]]:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.pid:
                yield connection.pid, connection
    except psutil.AccessDenied:  # macOS tells each process only of its own user's
        for process in psutil.process_iter():
            try:
                for own in process.net_connections("tcp"):
                    if own.status == psutil.CONN_LISTEN:
                        yield process.pid, own
            except psutil.Error:
                continue
