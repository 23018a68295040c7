"""A process beside a run, which ends what the run's steps left running should the run be killed.

It reads from a pipe that only the run holds: when the run is gone, the pipe ends. Then it does what closing a terminal
would do (``hang_up``), and removes the run's temporary folders.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import uuid
from types import TracebackType

import psutil

from runbooks.pages.processes import hang_up, in_session

MARK = "RUNBOOKS_RUN"
"""The variable that the steps of a run carry, by which the children of its Python steps are known."""


class Guard:
    """Context manager: the death of this process is answered, and so is an error that ends the block.

    A block that has cleared up itself says so with ``release``. Who is interrupted while clearing up does not.

    Attributes:
        variables: to be set in the environment of the steps.
    """

    def __init__(self) -> None:
        self.variables = {MARK: uuid.uuid4().hex}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Guard:
        self._process = subprocess.Popen(
            # -P: no module of the operator's folder, a signal.py say, comes before ours.
            [sys.executable, "-P", "-m", __name__, self.variables[MARK], str(os.getpgrp())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def release(self) -> None:
        """Have nothing done at the end of the block: nothing is left to do."""
        self._say("end")

    def watch(self, pid: int, folder: str) -> None:
        """Name a shell, which leads a session of its own, and its temporary folder ("" for none)."""
        self._say(f"shell {pid} {folder}")

    def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def main(mark: str, group: int) -> None:
    """Wait for the end of the run, and clear up unless it says that it has done so itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    shells: list[tuple[int, str]] = []
    for line in sys.stdin:
        word, *rest = line.rstrip("\n").split(" ", 2)
        if word == "end":
            return
        shells.append((int(rest[0]), rest[1]))
    hang_up([pid for shell, _ in shells for pid in in_session(shell)] + _marked(mark, group))
    for folder in [folder for _, folder in shells if folder]:
        shutil.rmtree(folder, ignore_errors=True)


def _marked(mark: str, group: int) -> list[int]:
    """Return the processes of the run's own process group that its Python steps started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group and process.environ().get(MARK) == mark:
                found.append(process.pid)
    return found


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
