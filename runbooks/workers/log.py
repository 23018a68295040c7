"""A worker's log: which file it is, and what was written into it since."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import psutil

from runbooks.drift import redact_text
from runbooks.drift.processes import GONE
from runbooks.workers.find import Worker

_READY = re.compile(r"\S+@\S+ ready\.")
_HOLDS_URL = re.compile(r"\[Celery Worker\] ComfyUI URL: (?P<url>\S+)")


@dataclass(frozen=True)
class LogPart:
    """What a log file holds from a position on.

    Attributes:
        file: the log.
        start: position in bytes.
    """

    file: Path
    start: int

    @classmethod
    def from_now_on(cls, file: Path) -> LogPart:
        """What will be written from now on."""
        return cls(file, file.stat().st_size if file.exists() else 0)

    def text(self) -> str:
        """What is there by now; empty when the file is not there or cannot be read."""
        try:
            with self.file.open("rb") as file:
                file.seek(self.start)
                return file.read().decode("utf-8", errors="replace")
        except OSError:
            return ""

    def says_ready(self) -> bool:
        """Whether Celery's line ``celery@host ready.`` is there."""
        return _READY.search(self.text()) is not None

    def url_it_holds(self) -> str | None:
        """The URL in the application's own line ``[Celery Worker] ComfyUI URL: …``; None without such a line."""
        found = _HOLDS_URL.findall(self.text())
        return found[-1] if found else None

    def last_lines(self, count: int = 12) -> list[str]:
        """The last lines that are not blank, without credentials."""
        lines = [redact_text(line.rstrip()) for line in self.text().splitlines() if line.strip()]
        return lines[-count:]


def output_of(worker: Worker, root: Path) -> Path:
    """The file that a worker's output goes to; ``logs/worker.log`` when that is not a file (a pipe, a terminal)."""
    try:
        files = {file.fd: Path(file.path) for file in worker.process.handle.open_files()}
    except (*GONE, psutil.AccessDenied):
        files = {}
    for descriptor in (1, 2):
        if descriptor in files and files[descriptor].is_file():
            return files[descriptor]
    return root / "logs" / "worker.log"


def where_it_logs(worker: Worker, output: Path) -> Path:
    """The file with Celery's own lines: ``--logfile`` if given and plain, else its output."""
    given = worker.command.log_file
    if given is None or "%" in given:
        return output
    return (worker.process.cwd or Path.cwd()) / given
