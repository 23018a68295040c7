"""What the status page finds, in the words and with the pages of the doctor's findings.

It knows what the processes say of themselves, and who answers at the ComfyUI URL. What only the operating system can
tell, such as an orphan or an exported variable, is left to ``runbooks doctor``.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from runbooks.drift import findings as kinds
from runbooks.drift.adapters import HIDDEN, NEEDS_RESTART, NOT_IN_FORCE
from runbooks.drift.agreement import Drift, in_words
from runbooks.drift.comfy import Answerer, is_local
from runbooks.drift.findings import Finding, Kind
from runbooks.drift.health import View
from runbooks.drift.holdings import Certainty
from runbooks.drift.processes import is_stopped
from runbooks.drift.report import Report, Role
from runbooks.drift.showing import shown
from runbooks.drift.whoami import machine
from runbooks.genonaut.health import FilesWord
from runbooks.genonaut.web.comfy import Look

_OF_ANSWER = {
    Answerer.NOBODY: kinds.COMFYUI_DOWN,
    Answerer.SILENT: kinds.COMFYUI_SILENT,
    Answerer.OTHER: kinds.COMFYUI_OTHER,
    Answerer.INVALID: kinds.COMFYUI_URL_INVALID,
}


class Cures:
    """The commands that cure, for the installation in this folder."""

    def __init__(self, root: Path, env_target: str | None) -> None:
        self._root, self._target = root, env_target or "local-demo"

    def restart(self, *more: str) -> str:
        """What restarts the worker."""
        target = [] if self._target == "local-demo" else ["--env-target", self._target]
        command = shlex.join(["runbooks", "restart-worker", *target, "--root", str(self._root), *more])
        return f"`{command}`"

    def start(self, service: str) -> str:
        """What starts the API (``api``) or a worker (``celery``)."""
        return f"`cd {shlex.quote(str(self._root))} && make {service}-{self._target.rpartition('-')[2]}`"


def findings_of(
    view: View, comfyui: Look | None, word: FilesWord | None, cures: Cures, store: str | None = None
) -> list[Finding]:
    """Everything that is worth saying, the worst first.

    Args:
        view: what the processes say.
        comfyui: who answers at the URL that the files name; None when nobody knows.
        word: what the files say of ComfyUI; None when they cannot be read.
        cures: the commands that cure.
        store: why the job store does not answer; None when it does.
    """
    found = [*_of_services(view, cures), *_of_processes(view, cures)]
    if comfyui is not None and word is not None:
        found += _of_comfyui(comfyui, word)
    if store is not None:
        found.append(Finding(kinds.STORE_DOWN, _sentence(store), "job store", kinds.STORE_DOWN.cure))
    order = list(kinds.CATALOGUE)

    def rank(finding: Finding) -> tuple[int, int, bool]:
        return finding.kind.severity.rank, order.index(finding.kind.id), "COMFYUI_URL" not in finding.keys

    return sorted(found, key=rank)


def _of_services(view: View, cures: Cures) -> Iterator[Finding]:
    if view.broker is not None:
        yield Finding(kinds.BROKER_DOWN, view.broker, "broker", kinds.BROKER_DOWN.cure)
        return
    if view.files is not None:
        yield Finding(kinds.FILE_BROKEN, view.files, "files", kinds.FILE_BROKEN.cure)
    mains = [standing.report for standing in view.standings if standing.report.role is Role.MAIN]
    if not mains:
        yield Finding(kinds.WORKER_NONE, "No worker reports.", "broker", cures.start("celery"))
    # Two of one node name were not meant to run side by side, and share the jobs all the same.
    for node, count in Counter(report.node for report in mains if not report.leaving).items():
        if node and count > 1:
            pids = ", ".join(str(report.pid) for report in mains if report.node == node)
            yield Finding(
                kinds.WORKER_DOUBLE,
                f"{count} workers of the node name {node} share the jobs: pids {pids}.",
                f"pids {pids}",
                cures.restart("--all"),
            )


def _of_processes(view: View, cures: Cures) -> Iterator[Finding]:
    for drift in view.drifts:
        finding = _of_drift(drift, cures)
        if finding is not None:
            yield finding
    for standing in view.standings:
        yield from _of_silence(standing.report, view)
    yield from _of_problems(view)
    if view.unreadable:
        what = f"Reports in the broker that cannot be read: {view.unreadable}. A process may be missing here."
        yield Finding(kinds.REPORT_INCOMPLETE, what, "broker", kinds.REPORT_INCOMPLETE.cure, Certainty.UNKNOWN)


def _of_drift(drift: Drift, cures: Cures) -> Finding | None:
    kind, cure = _kind_of(drift, cures)
    if kind is None:
        return None
    silent = any(report.silent for report in drift.processes)
    return Finding(
        kind,
        _sentence(str(drift)),
        drift.says.origin or drift.against,
        cure,
        Certainty.LIKELY if silent else Certainty.CERTAIN,
        "the last report of a process that says nothing now" if silent else "the process's own report",
        since=_edited(drift.says.origin),
        pid=drift.processes[0].pid,
        keys=(drift.key,),
    )


def _kind_of(drift: Drift, cures: Cures) -> tuple[Kind | None, str]:
    is_api = all(report.role is Role.API for report in drift.processes)
    hidden = any(each.startswith(f"{drift.key} ") and HIDDEN in each for each in _told_by(drift.processes))
    if drift.matters and is_api:
        kind = kinds.API_SHADOWED if hidden else kinds.API_STALE
        return kind, kind.cure
    if drift.matters:
        return kinds.WORKER_SHADOWED if hidden else kinds.WORKER_STALE, cures.restart()
    if is_api and drift.key.startswith("COMFYUI_"):
        return kinds.API_DIFFERS, kinds.API_DIFFERS.cure
    return None, ""


def _told_by(reports: Iterable[Report]) -> Iterator[str]:
    """The single things that processes say of what they do not obey."""
    return (told for report in reports if report.problem for told in report.problem.split("; "))


def _of_problems(view: View) -> Iterator[Finding]:
    """What processes say of themselves that is not told as a drift already."""
    drifting = {(report.id, drift.key) for drift in view.drifts for report in drift.processes}
    found: dict[str, list[Report]] = {}
    for report in (standing.report for standing in view.standings):
        for told in _told_by([report]):
            if (report.id, told.partition(" ")[0]) not in drifting:
                found.setdefault(told, []).append(report)
    for told, reports in found.items():
        kind = _kind_of_problem(told, reports)
        yield Finding(kind, _sentence(f"{in_words(reports)}: {told}"), reports[0].label, kind.cure, pid=reports[0].pid)


def _kind_of_problem(told: str, reports: Iterable[Report]) -> Kind:
    is_api = all(report.role is Role.API for report in reports)
    if told.startswith(NOT_IN_FORCE):
        return kinds.FILE_BROKEN
    if told.endswith(HIDDEN):
        return kinds.API_SHADOWED if is_api else kinds.WORKER_SHADOWED
    if told.endswith(NEEDS_RESTART):
        return kinds.API_STALE if is_api else kinds.WORKER_STALE
    return kinds.REPORT_INCOMPLETE


def _of_silence(report: Report, view: View) -> Iterator[Finding]:
    if not report.silent or report.leaving:
        return
    if _is_suspended(report):
        if report.role is Role.MAIN:
            what = f"Worker main {report.pid} is suspended: {_no_word(report)}."
            cure = f"`kill -CONT {report.pid}`"
            yield Finding(kinds.WORKER_SUSPENDED, what, report.label, cure, since=report.last_word, pid=report.pid)
            return
    elif report.role is Role.CHILD and _main_is_silent(report, view):
        # A child that is silent with its main process is the same trouble.
        return
    yield Finding(
        kinds.PROCESS_SILENT,
        _sentence(f"{report.label}: {_no_word(report)}"),
        report.label,
        kinds.PROCESS_SILENT.cure,
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


def _of_comfyui(look: Look, word: FilesWord) -> Iterator[Finding]:
    seen = look.seen
    url, folder = shown("COMFYUI_URL", word.url), shown("COMFYUI_OUTPUT_DIR", word.output_dir)
    kind = _OF_ANSWER.get(seen.who)
    if kind is not None:
        what = f"COMFYUI_URL={url} ({word.url_origin}): {seen.says}."
        yield Finding(kind, what, str(word.url_origin), kind.cure, since=look.since, keys=("COMFYUI_URL",))
    elif seen.output and is_local(word.url) and os.path.realpath(seen.output) != os.path.realpath(word.output_dir):
        writes = shown("COMFYUI_OUTPUT_DIR", seen.output)
        yield Finding(
            kinds.OUTPUT_FOREIGN,
            f"COMFYUI_OUTPUT_DIR={folder} ({word.output_origin}) does not belong to {url}, which writes to {writes}.",
            str(word.output_origin),
            kinds.OUTPUT_FOREIGN.cure,
            keys=("COMFYUI_OUTPUT_DIR",),
        )


def _sentence(text: str) -> str:
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
