"""What a page's bash is reached by: its script, what it says of a step, a step's code, and a step's output.

Bash opens each of them by a path, so that what a step starts inherits none. On Linux the paths lead to what this
process has open, which has no name in any folder: nothing is left when the run is killed, and to make two files with
names takes longer than to run a step. Elsewhere they are FIFOs and files in a folder of their own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Protocol

from runbooks.pages.capture import nameless_file


class Wires(Protocol):
    """What one bash is reached by.

    Attributes:
        script: the path from which bash reads commands.
        status: the path to which it writes what became of a step.
        step: the path of the code of the step that was put last.
        folder: the folder of all this; "" for none.
        to_script: file descriptor to write commands to.
        from_status: file descriptor to read from, which does not block and has no end.
    """

    script: str
    status: str
    step: str
    folder: str
    to_script: int
    from_status: int

    def put(self, code: str) -> None:
        """Make ``code`` what stands at ``step``."""

    def output(self) -> tuple[int, str]:
        """Make an empty file for a step's output, and return a descriptor to read it with, and its path.

        A file for each step: what one left running and writes late is not the next one's output.
        """

    def end_script(self) -> None:
        """Let bash see the end of its script."""

    def close(self) -> None:
        """Close all, and leave nothing."""


class Unnamed:
    """Pipes and files without a name, by their paths below ``/proc``.

    A step's output goes to a file on a disk, not into memory: a server that a step starts may write for long.
    """

    folder = ""

    def __init__(self) -> None:
        self._process = f"/proc/{os.getpid()}/fd"
        self._script_end, self.to_script = os.pipe()
        self.from_status, self._status_end = os.pipe()
        os.set_blocking(self.from_status, False)
        self._step = os.memfd_create("step")
        self.script, self.status, self.step = (
            f"{self._process}/{number}" for number in (self._script_end, self._status_end, self._step)
        )

    def put(self, code: str) -> None:
        """Make ``code`` what stands at ``step``."""
        os.ftruncate(self._step, 0)
        os.lseek(self._step, 0, os.SEEK_SET)
        _write(self._step, code)

    def output(self) -> tuple[int, str]:
        """Make an empty file for a step's output, and return a descriptor to read it with, and its path."""
        descriptor = nameless_file()
        return descriptor, f"{self._process}/{descriptor}"

    def end_script(self) -> None:
        """Let bash see the end of its script."""
        os.close(self.to_script)
        os.close(self._script_end)

    def close(self) -> None:
        """Close all, and leave nothing."""
        for descriptor in (self.from_status, self._status_end, self._step):
            os.close(descriptor)


class Named:
    """FIFOs and files in a temporary folder."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="page-")
        if shlex.quote(self.folder) != self.folder:  # bash reads this path within two kinds of quotes
            os.rmdir(self.folder)  # noqa: PTH106
            self.folder = tempfile.mkdtemp(prefix="page-", dir="/tmp")
        self.script, self.status, self.step = (f"{self.folder}/{name}" for name in ("script", "status", "step"))
        for path in (self.script, self.status):
            os.mkfifo(path, 0o600)
        # Open for both directions: neither opening waits for bash, and the status has no end when bash is gone.
        self.to_script = os.open(self.script, os.O_RDWR)
        self.from_status = os.open(self.status, os.O_RDWR | os.O_NONBLOCK)
        self._count = 0

    def put(self, code: str) -> None:
        """Make ``code`` what stands at ``step``."""
        descriptor = os.open(self.step, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        _write(descriptor, code)
        os.close(descriptor)

    def output(self) -> tuple[int, str]:
        """Make an empty file for a step's output, and return a descriptor to read it with, and its path."""
        self._count += 1
        path = f"{self.folder}/{self._count}.out"
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o600), path

    def end_script(self) -> None:
        """Let bash see the end of its script."""
        os.close(self.to_script)

    def close(self) -> None:
        """Close all, and leave nothing."""
        os.close(self.from_status)
        shutil.rmtree(self.folder, ignore_errors=True)


def new_wires() -> Wires:
    """Return new wires: unnamed ones where the processes that this one starts can open what it has open."""
    return Unnamed() if _is_open_to_children() else Named()


def _is_open_to_children() -> bool:
    own = Path("/proc/self")
    try:  # a process with privileges of its own, say, is root's there, and closed to its children
        return (
            hasattr(os, "memfd_create")
            and own.readlink().name == str(os.getpid())
            and own.stat().st_uid == os.geteuid()
        )
    except OSError:  # there is no /proc
        return False


def _write(descriptor: int, text: str) -> None:
    data = memoryview(text.encode())
    while data:
        data = data[os.write(descriptor, data) :]
