"""Whether a process that reports is still there: it speaks, it is silent, or it is known to have ended."""

from __future__ import annotations

import os
from collections.abc import Iterable

from runbooks.drift.report import Report, Role
from runbooks.drift.whoami import machine, name_of

REPLACES = "RUNBOOKS_REPLACES"
"""Variable that a process is started with when it takes the place of one that still runs: that one's ``name_of``."""


def still_there(reports: Iterable[Report]) -> list[Report]:
    """The reports of processes that are not known to have ended.

    A process that was killed says no goodbye. It is known to have ended where its machine is this one and its pid is
    gone, and, for a pool child, where its main process has spoken since and no longer counts it. Elsewhere it is
    remembered as silent until its report expires.
    """
    reports = list(reports)
    mains = {(report.machine, report.pid): report for report in reports if report.role is Role.MAIN}

    def remains(report: Report) -> bool:
        main = mains.get((report.machine, report.parent))
        return not report.silent or not (_is_replaced(report, main) or has_ended(report))

    return [report for report in reports if remains(report)]


def to_stay(reports: Iterable[Report]) -> list[Report]:
    """The reports of processes that run and go on running: none that leaves, has ended or is replaced by this one.

    A silent process of another machine may be one that has ended, such as the container that this one came after.
    """
    reports = list(reports)
    replaced = os.environ.get(REPLACES)
    going = {(report.machine, report.pid) for report in reports if report.leaving or report.id == replaced}
    return [
        report
        for report in reports
        if not {(report.machine, report.pid), (report.machine, report.parent)} & going
        and not (has_ended(report) or (report.silent and report.machine != machine()))
    ]


def has_ended(report: Report) -> bool:
    """Whether the process has ended, as far as this machine can tell; False for a process of another machine."""
    return report.machine == machine() and report.id != name_of(report.pid)


def _is_replaced(report: Report, main: Report | None) -> bool:
    if report.role is not Role.CHILD or main is None or main.pool != "prefork":
        return False
    return main.age < report.age and report.pid not in main.children
