"""The record of a run: one JSON object a line, written before and after every step, redacted, for the user's eyes only.

A line is on the disk before the step begins, so that a run that was killed leaves a record that is complete up to its
last step, and says which one was under way.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from runbooks.errors import UserError
from runbooks.redaction import Redactor


def runs_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder of the records: ``runbooks/runs`` in the user's state folder (XDG Base Directory 0.8)."""
    environ = os.environ if environ is None else environ
    state = environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "runbooks" / "runs"


class RunRecord:
    """Writes the record of one run. Use it as a context manager.

    Args:
        folder: where records are kept; made when it is not there.
        page: the page's name.
        redactor: masks the secrets of everything that is written.
        about: more to say about the run: target, options, the page's file.

    Attributes:
        id: names the run: when it began, its page, and four characters to tell it from others.
        path: the file.
    """

    def __init__(self, folder: Path, page: str, redactor: Redactor, **about: Any) -> None:
        self._redactor = redactor
        self._ended = self._is_broken = False
        now = datetime.now(UTC)
        self.id = f"{now:%Y%m%dT%H%M%S}-{Path(page).stem}-{secrets.token_hex(2)}"
        self.path = folder / f"{self.id}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise UserError(
                f"The record of the run cannot be written to {folder}: {error.strerror}.",
                "Set XDG_STATE_HOME to a folder that can be written.",
            ) from error
        process = psutil.Process()
        self.write(
            "run",
            id=self.id,
            page=page,
            user=getpass.getuser(),
            host=platform.node(),
            pid=process.pid,
            pid_started=process.create_time(),
            **about,
        )

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._ended and not self._is_broken:
                self.end("interrupted" if kind and issubclass(kind, KeyboardInterrupt) else "failed")
        finally:
            os.close(self._file)

    def end(self, result: str) -> None:
        """Write the last line. A run that is left by an error ends as failed, by Ctrl-C as interrupted."""
        self._ended = True
        self.write("end", result=result)

    def write(self, event: str, **data: Any) -> None:
        """Add a line, and have it on the disk.

        Raises:
            UserError: it cannot be written; the run must not go on without a record.
        """
        row = {"event": event, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **self._redactor.data(data)}
        left = (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        try:
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError as error:
            self._is_broken = True
            raise UserError(
                f"The record cannot be written any more: {error.strerror}. The run ends before its next step.",
                "Make room, or set XDG_STATE_HOME to a folder that can be written. What was done: runbooks history",
            ) from error


@dataclass
class PastStep:
    """What a record says about a step.

    Attributes:
        name: of the step.
        code: as it was, redacted.
        changes: the step changes something.
        rollback: the step rolls something back.
        result: ``passed``, ``failed``, ``skipped``, ``interrupted``; "" when the run was killed meanwhile.
        seconds: how long it took.
        output: what it wrote, redacted.
        error: what went wrong; "" for nothing.
        values: what was kept of the names that it set.
        line: the page's line of the step.
        was_tried: it was run before that, in the same run: a step that failed and was then skipped.
    """

    name: str
    code: str
    changes: bool
    rollback: bool
    line: int = 0
    result: str = ""
    seconds: float = 0.0
    output: str = ""
    error: str = ""
    values: dict[str, str] = field(default_factory=dict)
    was_tried: bool = False

    @property
    def has_changed(self) -> bool:
        """Whether it may have changed something: it was not skipped, or only after it was tried."""
        return self.changes and (self.was_tried or self.result != "skipped")


@dataclass
class PastRun:
    """What a record says about a run.

    Attributes:
        path: the record's file.
        about: its first line: id, page, user, host, target and more.
        steps: the steps that were begun, in order; one that was tried again is there once, as it went at last.
        result: ``passed``, ``failed``, ``stopped``, ``rolled back``, ``interrupted``; "" when it was killed.
        ended: when, as an ISO date; that of the last line when it was killed.
    """

    path: Path
    about: dict[str, Any]
    steps: list[PastStep]
    result: str = ""
    ended: str = ""

    @property
    def id(self) -> str:
        """What names the run."""
        return str(self.about["id"])

    @property
    def is_running(self) -> bool:
        """Whether the process that writes it is still there."""
        if self.result or self.about.get("host") != platform.node():
            return False
        try:
            started = psutil.Process(self.about["pid"]).create_time()
        except psutil.Error:
            return False
        return abs(started - float(self.about["pid_started"])) < 1

    @property
    def outcome(self) -> str:
        """How it ended, in a word."""
        return self.result or ("running" if self.is_running else "killed")

    def half_done(self) -> list[PastStep]:
        """Return the changing steps that were begun and not ended, or that failed, also when then skipped."""
        return [step for step in self.steps if step.has_changed and step.result != "passed"]


def read_run(path: Path) -> PastRun | None:
    """Read a record up to its first damaged line; None when that is its first, or it cannot be read."""
    try:
        rows = list(_rows(path))
    except OSError:
        return None
    if not rows or not _begins_a_run(rows[0]):
        return None
    run = PastRun(path, rows[0], [], ended=rows[0]["at"])
    for row in rows[1:]:
        try:
            _take(run, row)
        except (KeyError, TypeError):
            break
    return run


def _begins_a_run(row: Mapping[str, Any]) -> bool:
    words = ("id", "at", "page", "target", "user", "host")
    numbers = ("pid", "pid_started")
    return (
        row.get("event") == "run"
        and all(isinstance(row.get(name), str) for name in words)
        and all(isinstance(row.get(name), int | float) for name in numbers)
    )


def _take(run: PastRun, row: Mapping[str, Any]) -> None:
    known = next((step for step in run.steps if step.name == row.get("step")), None)
    if row["event"] == "began":
        step = PastStep(row["step"], row["code"], row["changes"], row["rollback"], row["line"])
        step.was_tried = known is not None and (known.was_tried or known.result != "skipped")
        run.steps = [*(one for one in run.steps if one is not known), step]
    elif row["event"] == "ended" and known:
        for name, value in [(name, row[name]) for name in ("result", "seconds", "output", "error", "values")]:
            setattr(known, name, value)
    elif row["event"] == "end":
        run.result = row["result"]
    run.ended = row["at"]


def read_runs(folder: Path) -> list[PastRun]:
    """Read all records of a folder, the newest first."""
    found = [run for path in folder.glob("*.jsonl") if (run := read_run(path))]
    return sorted(found, key=lambda run: str(run.about["at"]), reverse=True)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(row, dict):
            yield row
