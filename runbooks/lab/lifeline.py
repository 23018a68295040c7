"""The lifeline: what ties a lab to the process that started it. See ``guardian``, at its other end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DONE = b"done"
TEMPORARY = "--temporary"

_open: set[Lifeline] = set()
"""Held here, so that a lab lives as long as this process, not as long as somebody refers to its ``Lab``."""


class Lifeline:
    """The starter's end of a pipe to a guardian of its own.

    Args:
        root: the lab's folder.
        temporary: the guardian removes the lab that it stops.
    """

    def __init__(self, root: Path, *, temporary: bool = False) -> None:
        options = [TEMPORARY] if temporary else []
        with (root / "logs" / "lab.log").open("ab") as log:
            self._guardian = subprocess.Popen(
                [sys.executable, "-m", "runbooks.lab.guardian", str(root), *options],
                cwd=root,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.guardian_pid = self._guardian.pid
        _open.add(self)

    def end(self) -> None:
        """Tell the guardian that nothing is left to do, and wait until it has gone."""
        if self._guardian.poll() is None:
            self._guardian.communicate(DONE)
        _open.discard(self)
