"""What is wrong when a process starts: one warning for each problem, or, with ``STRICT_CONFIG=1``, no start."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from runbooks.drift.health import PAGE, View, Watch
from runbooks.drift.presence import to_stay
from runbooks.drift.report import Report
from runbooks.drift.whoami import machine
from runbooks.errors import UserError

logger = logging.getLogger(__name__)

STRICT = "STRICT_CONFIG"
WAIT = 0.8
"""Seconds that a start waits for what does not answer."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        what: one sentence without its full stop: key, both values, both origins.
        page: the page to open, below ``docs/``; empty where none says more.
        about: what it is about, for not telling it twice in other words.
    """

    what: str
    page: str = ""
    about: str = ""

    def __str__(self) -> str:
        return f"{self.what}. See {self.page}" if self.page else f"{self.what}."


def is_strict() -> bool:
    """Whether a process with a problem shall not start."""
    return os.environ.get(STRICT, "") not in ("", "0")


def refuse(problems: Iterable[Problem]) -> None:
    """End a strict start that has problems.

    Raises:
        UserError: there is one; a line for each.
    """
    if lines := [str(problem) for problem in problems]:
        raise UserError(
            "\n".join(lines),
            f"\nNot started, because {STRICT} is set. Correct that, or start with {STRICT}=0.",
        )


def warn_of(problems: Iterable[Problem]) -> None:
    """Log one warning for each."""
    for problem in problems:
        logger.warning("Configuration: %s", problem)


def running_others(reports: list[Report]) -> list[Report]:
    """The reports of those that are to stay, without this process and its children."""
    here = (machine(), os.getpid())
    return [
        report
        for report in to_stay(reports)
        if here not in ((report.machine, report.pid), (report.machine, report.parent))
    ]


def look_at_others(watch: Watch) -> View:
    """What the processes beside this one hold. Closes the watch."""
    try:
        return watch.look(keep=running_others)
    finally:
        watch.close()


def disagreements(view: View) -> Iterator[Problem]:
    """What processes hold that is not as it should be, and that they do something with."""
    for drift in view.drifts:
        if drift.matters:
            yield Problem(str(drift), PAGE, f"{drift.key}={drift.holds.fingerprint}")
