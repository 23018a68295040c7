"""A command in a real terminal: a pseudo-terminal that a test reads and types into."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

# Make the terminal that standard input is the controlling one, so that Ctrl-C is a signal.
_TAKE_TERMINAL = (
    "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    # Not as the tests may have been started, with nohup.
    "signal.signal(signal.SIGHUP, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)
COMMAND = str(Path(sys.executable).parent / "runbooks")


class Terminal:
    """Runs a command in a terminal of its own. Use it as a context manager; what is left at the end is killed.

    Attributes:
        seen: everything that was printed so far, line ends as LF.
        process: the command.
    """

    def __init__(self, *arguments: str, cwd: Path, environ: Mapping[str, str], columns: int = 80) -> None:
        self.seen = ""
        self._position = 0
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.attributes = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, sys.executable, COMMAND, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env=dict(environ),
            start_new_session=True,
        )
        self._slave = slave

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)

    def expect(self, text: str, timeout: float = 30.0) -> str:
        """Read until ``text`` has been printed (after what the last call waited for), and return what came before."""
        deadline = time.monotonic() + timeout
        while (found := self.seen.find(text, self._position)) < 0:
            assert time.monotonic() < deadline, f"waited {timeout:g} s for {text!r}; seen:\n{self.seen}"
            assert self._read(0.1) or self.process.poll() is None, f"ended without {text!r}; seen:\n{self.seen}"
        before = self.seen[self._position : found]
        self._position = found + len(text)
        return before

    def type(self, text: str) -> None:
        """Type something; ``\\x03`` is Ctrl-C."""
        os.write(self._master, text.encode())

    def end(self, timeout: float = 30.0) -> int:
        """Read until the command has ended, and return its exit code."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running after {timeout:g} s; seen:\n{self.seen}"
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    def settings(self) -> list[object]:
        """The terminal's settings as they are now: echo and the like."""
        return list(termios.tcgetattr(self._slave))

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed or the connection is lost."""
        os.close(self._slave)
        os.close(self._master)
        self._slave = self._master = -1

    def kill(self) -> None:
        """``kill -9``."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _read(self, timeout: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], timeout)
        if not ready:
            return False
        self.seen += os.read(self._master, 65536).decode("utf-8", "replace").replace("\r\n", "\n")
        return True
