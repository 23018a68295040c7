"""What all processes of an application run with, seen from one of them: for a health endpoint, a page, a start."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from runbooks.drift.adapters import Held
from runbooks.drift.agreement import Comparison, Drift, Standing, Uses, compare_reports, in_words
from runbooks.drift.presence import still_there
from runbooks.drift.report import Report, Role
from runbooks.drift.reporter import setting_of
from runbooks.drift.reports import ReportsUnavailableError, Shelf
from runbooks.errors import UserError
from runbooks.redaction import redact_text

PATIENCE = 0.25
"""Seconds that one answer of the broker is waited for, where somebody waits for ours."""
PAGE = "runbooks/which-url-does-each-process-use.md"
"""The page to open, below ``docs/``."""

Shape = Callable[[dict[str, Any]], dict[str, Any]]


class Status(StrEnum):
    """As in the draft "Health Check Response Format for HTTP APIs"; ``warn`` is healthy, with something to see to."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class View:
    """What was seen at one moment.

    Attributes:
        status: ``warn`` when there is something to see to.
        output: that in a sentence; empty when there is nothing.
        standings: every process of this target, and whether it agrees; the API first.
        drifts: values that are not as they should be; what matters first.
        strangers: processes of other targets that report under the same name.
        unreadable: how many entries are no reports.
        broker: why the broker told nothing; None when it did.
        files: why nothing is known of the files; None when it is, or nobody asked.
        now: time by the broker's clock; None when that did not answer.
    """

    status: Status
    output: str
    standings: tuple[Standing, ...] = ()
    drifts: tuple[Drift, ...] = ()
    strangers: tuple[Report, ...] = ()
    unreadable: int = 0
    broker: str | None = None
    files: str | None = None
    now: datetime | None = None

    def as_json(self, show: Collection[str] | None = None, shape: Shape = dict) -> dict[str, Any]:
        """Plain values: ``configuration`` (status and output), ``drift`` and ``processes``.

        Args:
            show: keys whose values each process is shown with; all by default.
            shape: called once for a report, with what stays the same of its process; the rest keeps its place in it.
        """
        return {
            "configuration": {"status": str(self.status), "output": self.output or None},
            "drift": [_drift_as_json(drift) for drift in self.drifts],
            "processes": [_process_as_json(standing, show, shape) for standing in self.standings],
        }


class Watch:
    """Looks at all processes of an application, again and again. Safe to use from several threads."""

    def __init__(
        self,
        redis_url: str,
        app: str,
        *,
        env_target: str | None = None,
        files: Callable[[], Iterable[Held]] | None = None,
        uses: Uses = lambda _report, _key: True,
        needs_worker: bool = True,
    ) -> None:
        """Nothing is looked at yet.

        Args:
            redis_url: of the broker.
            app: name of the application.
            env_target: only processes of this target are compared.
            files: what a process would get that is started now; raises ``UserError`` when that cannot be told.
            uses: whether a process does anything with a key.
            needs_worker: whether it is worth a warning that no worker reports.

        Raises:
            ReportsUnavailableError: the broker is no Redis server.
        """
        self._shelf = Shelf(redis_url, app, patience=PATIENCE)
        self._env_target, self._files, self._uses, self._needs_worker = env_target, files, uses, needs_worker

    def look(self, keep: Callable[[list[Report]], list[Report]] = still_there) -> View:
        """Look now. Takes two round trips to the broker, and never longer than about a second.

        Args:
            keep: which reports count; by default those of processes that are not known to have ended.
        """
        try:
            reading = self._shelf.read()
        except ReportsUnavailableError as error:
            why = f"{error.what} Nothing is known of the other processes."
            return View(Status.WARN, why, broker=error.what)
        present = keep(list(reading.reports))
        own = [report for report in present if report.env_target == self._env_target]
        strangers = tuple(report for report in present if report.env_target != self._env_target)
        files, problem = None, None
        if self._files is not None and reading.salt is not None:
            try:
                files = {held.key: setting_of(held, reading.salt) for held in self._files()}
            except UserError as error:
                problem = f"The files cannot be read: {without_values(error.what)}"
        comparison = compare_reports(own, reading.salt.id if reading.salt else "", files, self._uses)
        words = list(_words(own, comparison, problem, len(reading.unreadable)))
        if self._needs_worker and not any(report.role is Role.MAIN for report in own):
            words.append("No worker reports.")
        return View(
            Status.WARN if words else Status.PASS,
            " ".join(words),
            comparison.standings,
            comparison.drifts,
            strangers,
            len(reading.unreadable),
            None,
            problem,
            reading.now,
        )

    def close(self) -> None:
        """Close the connection to the broker."""
        self._shelf.close()


def without_values(text: str) -> str:
    """A message about a file without what it quotes from there, which may be a secret; file and line remain."""
    quotes = [text.find(mark) for mark in ("'", '"') if mark in text]
    if not quotes:
        return redact_text(text)
    first = min(quotes)
    return f"{text[:first]}…{text[text.rfind(text[first]) + 1 :]}"


def _words(reports: list[Report], comparison: Comparison, problem: str | None, unreadable: int) -> Iterable[str]:
    if problem:
        yield problem
    for drift in comparison.drifts:
        if drift.matters:
            yield f"{_begin(str(drift))}."
    for family in _silent_families(reports):
        last = min(family, key=lambda report: report.age)
        yield f"{_begin(in_words(family))}: no word since {last.last_word:%H:%M:%S} UTC ({last.age:.0f} s)."
    for told, by in _by_problem(reports).items():
        yield f"{_begin(in_words(by))}: {told}."
    if unreadable:
        yield f"Reports in the broker that cannot be read: {unreadable}. A process may be missing here."


def _silent_families(reports: list[Report]) -> Iterable[list[Report]]:
    """Who says nothing, a worker with its pool children: they are stopped together, and one sentence tells it."""
    found: dict[tuple[str, int], list[Report]] = {}
    for report in reports:
        if report.silent and report.last_word is not None:
            main = report.parent if report.role is Role.CHILD else report.pid
            found.setdefault((report.machine, main), []).append(report)
    return found.values()


def _by_problem(reports: list[Report]) -> dict[str, list[Report]]:
    found: dict[str, list[Report]] = {}
    for report in reports:
        if report.problem:
            found.setdefault(report.problem, []).append(report)
    return found


def _begin(text: str) -> str:
    return text[:1].upper() + text[1:]


def _drift_as_json(drift: Drift) -> dict[str, Any]:
    return {
        "key": drift.key,
        "holds": drift.holds.value,
        "origin": drift.holds.origin,
        "says": drift.says.value,
        "says_origin": drift.says.origin,
        "against": drift.against,
        "matters": drift.matters,
        "processes": [report.label for report in drift.processes],
        "output": f"{_begin(str(drift))}.",
        "page": PAGE,
    }


def _process_as_json(standing: Standing, show: Collection[str] | None, shape: Shape) -> dict[str, Any]:
    report = standing.report
    key = None if show is None else tuple(show), shape
    form = report.forms.get(key)
    if form is None:
        form = report.forms[key] = shape(_form(report, show))
    # The parts inside are shared from look to look, and only read.
    return form | {
        "state": state_of(report),
        "agrees_with_files": standing.with_files,
        "agrees_with_others": standing.with_others,
        "last_word": _time(report.last_word),
        "age": round(report.age, 3),
    }


def _form(report: Report, show: Collection[str] | None) -> dict[str, Any]:
    """What stays the same of a process; the rest is filled in at each look."""
    shown = {
        setting.key: {"value": setting.value, "origin": setting.origin}
        for setting in (report.settings if show is None else filter(None, map(report.setting, show)))
    }
    return {
        "role": str(report.role),
        "pid": report.pid,
        "state": None,
        "settings": shown,
        "agrees_with_files": None,
        "agrees_with_others": None,
        "loaded": _time(report.loaded),
        "last_word": None,
        "age": None,
        "host": report.host,
        "parent": report.parent,
        "started": _time(report.started),
        "version": report.version,
        "env_target": report.env_target,
        "node": report.node,
        "pool": report.pool,
        "queues": list(report.queues),
        "problem": report.problem,
    }


def state_of(report: Report) -> str:
    """``reporting``, ``silent`` (stopped, blocked or gone: see its last word), or ``leaving``."""
    if report.leaving:
        return "leaving"
    return "silent" if report.silent else "reporting"


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None
