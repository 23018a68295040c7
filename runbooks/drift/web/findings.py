"""What the status page finds in what processes say of themselves, whatever application they belong to.

What only the operating system can tell, such as an orphan or an exported variable, is not seen here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from runbooks.drift import findings as kinds
from runbooks.drift.adapters import HIDDEN, NEEDS_RESTART, NOT_IN_FORCE
from runbooks.drift.agreement import Drift, in_words
from runbooks.drift.findings import Finding, Kind, Severity
from runbooks.drift.health import PAGE, View
from runbooks.drift.holdings import Certainty
from runbooks.drift.processes import is_stopped
from runbooks.drift.report import Report, Role
from runbooks.drift.whoami import machine

_FILES = "the files"


class Words:
    """What a finding is called, and what cures it, where nothing is known of the application but its reports."""

    peers_tell = True
    """Whether a drift between processes, of which the files say nothing, is told by who has read its settings first."""

    def __init__(self, *, needs_worker: bool = False) -> None:
        """Nothing is found yet.

        Args:
            needs_worker: whether it is a problem that no worker reports.
        """
        self._needs_worker = needs_worker

    def kind(self, kind: Kind) -> Kind:
        """A kind of finding in words that are true here."""
        return _IN_GENERAL.get(kind.id, kind)

    def no_worker(self) -> Finding:
        """That no worker reports."""
        return Finding(
            self.kind(kinds.WORKER_NONE) if self._needs_worker else _NO_WORKER,
            "No worker reports.",
            "broker",
            "Start one.",
        )

    def two_workers(self) -> str:
        """What cures two workers of one node name."""
        return self.kind(kinds.WORKER_DOUBLE).cure

    def of_drift(self, drift: Drift) -> tuple[Kind | None, str]:
        """What kind of finding a drift is, and its cure; no kind where it is worth no word."""
        kind = self.kind(kinds.API_STALE if _is_api(drift.processes) else kinds.WORKER_STALE)
        return kind, f"Restart {_to_restart(drift.processes)}."

    def of_problem(self, told: str, reports: Iterable[Report]) -> Kind:
        """What kind of finding a thing is that processes say of themselves."""
        is_api = _is_api(reports)
        if told.startswith(NOT_IN_FORCE):
            kind = kinds.FILE_BROKEN
        elif told.endswith(HIDDEN):
            kind = kinds.API_SHADOWED if is_api else kinds.WORKER_SHADOWED
        elif told.endswith(NEEDS_RESTART):
            kind = kinds.API_STALE if is_api else kinds.WORKER_STALE
        else:
            kind = kinds.REPORT_INCOMPLETE
        return self.kind(kind)

    def silent(self, report: Report) -> str:
        """What to do about a process that says nothing."""
        return f"Look at it on {report.host}: `ps -o pid,stat,etime,args -p {report.pid}`"


def of_services(view: View, words: Words) -> Iterator[Finding]:
    """What is wrong with broker, files and the number of workers."""
    if view.broker is not None:
        kind = words.kind(kinds.BROKER_DOWN)
        yield Finding(kind, view.broker, "broker", kind.cure)
        return
    if view.files is not None:
        kind = words.kind(kinds.FILE_BROKEN)
        yield Finding(kind, view.files, "files", kind.cure)
    mains = [standing.report for standing in view.standings if standing.report.role is Role.MAIN]
    if not mains:
        yield words.no_worker()
    # Two of one node name were not meant to run side by side, and share the jobs all the same.
    for node, count in Counter(report.node for report in mains if not report.leaving).items():
        if node and count > 1:
            pids = ", ".join(str(report.pid) for report in mains if report.node == node)
            yield Finding(
                words.kind(kinds.WORKER_DOUBLE),
                f"{count} workers of the node name {node} share the jobs: pids {pids}.",
                f"pids {pids}",
                words.two_workers(),
            )


def of_processes(view: View, words: Words) -> Iterator[Finding]:
    """What is wrong with the processes: what they hold, that they say nothing, and what they say of themselves."""
    for drift in view.drifts:
        is_certain = drift.against == _FILES or not words.peers_tell
        finding = _of_drift(drift, words) if is_certain else _of_peers(drift, view, words)
        if finding is not None:
            yield finding
    for standing in view.standings:
        yield from _of_silence(standing.report, view, words)
    yield from _of_problems(view, words)
    if view.unreadable:
        what = f"Reports in the broker that cannot be read: {view.unreadable}. A process may be missing here."
        kind = words.kind(kinds.REPORT_INCOMPLETE)
        yield Finding(kind, what, "broker", kind.cure, Certainty.UNKNOWN)


def ranked(found: Iterable[Finding], first: str = "") -> list[Finding]:
    """Findings, the worst first.

    Args:
        found: what was found.
        first: the key whose findings come before others that are as bad.
    """
    order = list(kinds.CATALOGUE)

    def rank(finding: Finding) -> tuple[int, int, bool]:
        return finding.kind.severity.rank, order.index(finding.kind.id), first not in finding.keys

    return sorted(found, key=rank)


def older(drift: Drift, view: View) -> Drift | None:
    """A drift between processes, seen from those that have held their settings for longer.

    Where nobody knows what the files say, an edit is between the two: what was read before it is stale. None where one
    value was read both before and after the other: then it is no edit that tells them apart, but where each was read.
    """
    said = [
        standing.report
        for standing in view.standings
        if (held := standing.report.setting(drift.key)) and held.fingerprint == drift.says.fingerprint
    ]
    if _all_before(drift.processes, said):
        return drift
    if not _all_before(said, drift.processes):
        return None
    return replace(drift, processes=tuple(said), holds=drift.says, says=drift.holds, against=drift.processes[0].label)


def _of_drift(drift: Drift, words: Words) -> Finding | None:
    kind, cure = words.of_drift(drift)
    if kind is None:
        return None
    silent = any(report.silent for report in drift.processes)
    return Finding(
        kind,
        sentence(str(drift)),
        drift.says.origin or drift.against,
        cure,
        Certainty.LIKELY if silent else Certainty.CERTAIN,
        "the last report of a process that says nothing now" if silent else "the process's own report",
        since=_edited(drift.says.origin),
        pid=drift.processes[0].pid,
        keys=(drift.key,),
    )


def _of_peers(drift: Drift, view: View, words: Words) -> Finding:
    """A drift where nobody knows what the files say."""
    stale = older(drift, view)
    if stale is None:
        disagree = kinds.PROCESSES_DISAGREE
        return _finding_of_peers(disagree, drift, disagree.cure, Certainty.CERTAIN)
    kind, cure = words.of_drift(stale)
    title = (
        "The API holds an older value than another process"
        if _is_api(stale.processes)
        else ("The worker holds an older value than another process")
    )
    kind = replace(kind or kinds.PROCESSES_DISAGREE, title=title)
    return _finding_of_peers(kind, stale, cure, Certainty.LIKELY)


def _finding_of_peers(kind: Kind, drift: Drift, cure: str, certainty: Certainty) -> Finding:
    return Finding(
        kind,
        sentence(str(drift)),
        drift.holds.origin or drift.processes[0].label,
        cure,
        certainty,
        "the processes' own reports, and since when each holds its settings",
        since=_edited(drift.says.origin) if certainty is Certainty.LIKELY else None,
        pid=drift.processes[0].pid,
        keys=(drift.key,),
    )


def _all_before(reports: Sequence[Report], others: Sequence[Report]) -> bool:
    """Whether all of some processes have loaded their settings before all of the others."""
    ours, theirs = ([report.loaded for report in each if report.loaded] for each in (reports, others))
    return bool(ours and theirs) and max(ours) < min(theirs)


def _is_api(reports: Iterable[Report]) -> bool:
    return all(report.role is Role.API for report in reports)


def _to_restart(reports: Iterable[Report]) -> str:
    return " and ".join(dict.fromkeys(_label(report) for report in reports))


def _label(report: Report) -> str:
    """What is restarted: never a pool child by itself."""
    return f"worker main {report.parent}" if report.role is Role.CHILD else report.label


def told_by(reports: Iterable[Report]) -> Iterator[str]:
    """The single things that processes say of what they do not obey."""
    return (told for report in reports if report.problem for told in report.problem.split("; "))


def _of_problems(view: View, words: Words) -> Iterator[Finding]:
    """What processes say of themselves that is not told as a drift already."""
    drifting = {(report.id, drift.key) for drift in view.drifts for report in drift.processes}
    found: dict[str, list[Report]] = {}
    for report in (standing.report for standing in view.standings):
        for told in told_by([report]):
            if (report.id, told.partition(" ")[0]) not in drifting:
                found.setdefault(told, []).append(report)
    for told, reports in found.items():
        kind = words.of_problem(told, reports)
        yield Finding(kind, sentence(f"{in_words(reports)}: {told}"), reports[0].label, kind.cure, pid=reports[0].pid)


def _of_silence(report: Report, view: View, words: Words) -> Iterator[Finding]:
    if not report.silent or report.leaving:
        return
    if _is_suspended(report):
        if report.role is Role.MAIN:
            what = f"Worker main {report.pid} is suspended: {_no_word(report)}."
            cure = f"`kill -CONT {report.pid}`"
            kind = words.kind(kinds.WORKER_SUSPENDED)
            yield Finding(kind, what, report.label, cure, since=report.last_word, pid=report.pid)
            return
    elif report.role is Role.CHILD and _main_is_silent(report, view):
        # A child that is silent with its main process is the same trouble.
        return
    yield Finding(
        words.kind(kinds.PROCESS_SILENT),
        sentence(f"{report.label}: {_no_word(report)}"),
        report.label,
        words.silent(report),
        Certainty.UNKNOWN,
        since=report.last_word,
        pid=report.pid,
    )


def _is_suspended(report: Report) -> bool:
    return report.machine == machine() and is_stopped(report.pid)


def _main_is_silent(child: Report, view: View) -> bool:
    return any(
        each.report.role is Role.MAIN and each.report.silent and each.report.pid == child.parent
        for each in view.standings
    )


def _no_word(report: Report) -> str:
    return f"no word since {report.last_word:%H:%M:%S} UTC" if report.last_word else "no word for a while"


def sentence(text: str) -> str:
    """A sentence that begins with a process."""
    text = f"API{text[3:]}" if text.startswith("api ") else f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith(".") else f"{text}."


def _edited(origin: str | None) -> datetime | None:
    """When the file that an origin names was last changed."""
    file, colon, line = (origin or "").rpartition(":")
    if not colon or not line.isdigit():
        return None
    try:
        return datetime.fromtimestamp(Path(file).stat().st_mtime, UTC)
    except OSError:
        return None


_NO_WORKER = replace(
    kinds.WORKER_NONE,
    severity=Severity.NOTE,
    title="No worker reports",
    why="Harmless where the application has none. Else nobody takes its jobs.",
    page="troubleshooting.md#503-image-queuing-service",
)
_IN_GENERAL = {
    kind.id: kind
    for kind in (
        replace(
            kinds.BROKER_DOWN,
            why="No job is taken, and nothing is known of any process. Workers find the broker again by themselves.",
        ),
        replace(
            kinds.FILE_BROKEN,
            title="The settings cannot be read anew",
            why="A process that is started now gets none, or others than it should.",
            cure="Correct the last edit.",
            page=PAGE,
        ),
        replace(kinds.WORKER_NONE, title="No worker reports", why="Nobody takes jobs.", cure="Start one."),
        replace(
            kinds.WORKER_STALE,
            why="Jobs are done by the worker, with the value that it read when it started. Restarting the API changes "
            "nothing.",
            cure="Restart the worker.",
        ),
        replace(
            kinds.API_STALE,
            why="It answers requests with the value that it read when it started.",
            cure="Restart the API.",
            page=PAGE,
        ),
        replace(
            kinds.WORKER_SHADOWED,
            why="The environment of a process wins over its files, so editing a file changes nothing.",
            cure="Take the variable out of the environment that the worker is started in, then restart it.",
            page=PAGE,
        ),
        replace(
            kinds.API_SHADOWED,
            why="The environment of a process wins over its files, so editing a file changes nothing.",
            cure="Take the variable out of the environment that the API is started in, then restart it.",
            page=PAGE,
        ),
        replace(
            kinds.WORKER_DOUBLE,
            title="More than one worker of one name runs",
            why="They share the jobs. If one of them is stale, some jobs are done with old values.",
            cure="Stop the one that was not meant to run, with one SIGTERM to its main process.",
        ),
        replace(kinds.REPORT_INCOMPLETE, cure="Read the log of that process."),
    )
}
