"""What the status page shows of any application, as plain values: the page and its JSON are made from the same."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runbooks.drift.agreement import Drift
from runbooks.drift.findings import BROKER_DOWN, BROKER_REFUSED, Finding, Severity
from runbooks.drift.health import Shape, Status, View, Watch
from runbooks.drift.report import Report, Role
from runbooks.drift.showing import shown
from runbooks.drift.web.findings import Words, of_processes, of_services, older, ranked
from runbooks.drift.web.sitelink import site_link
from runbooks.drift.web.waiting import Broker

NOBODY_KEEPS = "No Redis server is named that keeps reports."
_NOBODY_KEEPS = replace(
    BROKER_REFUSED,
    title="Nobody keeps the reports",
    why="Nothing is known of any process.",
    cure="Name a Redis server with redis_url=, or where the settings or the environment name the broker.",
    page="adopt-health.md",
)


class Board:
    """Looks at everything that the status page of an application shows. Safe to use from several threads."""

    def __init__(
        self, name: str, redis_url: str, watch: Watch, words: Words, env_target: str | None, *, has_files: bool
    ) -> None:
        """Nothing is looked at yet.

        Args:
            name: under which the application reports.
            redis_url: of the broker that keeps the reports.
            watch: what looks at the processes.
            words: what findings are called here.
            env_target: of this process.
            has_files: whether processes are compared with what one would get that is started now.

        Raises:
            ReportsUnavailableError: the broker is no Redis server.
        """
        self._name, self._redis_url, self._watch, self._words = name, redis_url, watch, words
        self._env_target, self._has_files = env_target, has_files
        self._broker = Broker(redis_url)
        self._down_since: datetime | None = None
        self._queues: tuple[str, ...] = ()

    def close(self) -> None:
        """Close the connections to the broker."""
        self._broker.close()
        self._watch.close()

    def look(self) -> dict[str, Any]:
        """Everything, as it is now. Takes a few milliseconds, and never waits longer than about a second."""
        view = self._watch.look()
        self._down_since = (self._down_since or datetime.now(UTC)) if view.broker is not None else None
        queues = {queue for standing in view.standings for queue in standing.report.queues}
        # While no worker reports, it is the more worth knowing what waits for one.
        self._queues = tuple(sorted(queues)) or self._queues
        waiting = self._broker.look(view.now, self._queues) if view.now is not None else None
        found = ranked([*of_services(view, self._words), *of_processes(view, self._words)])
        since = self._down_since or (waiting.since if waiting else None)
        return {
            **board_head(self._name, self._env_target, status_of(found, view), self._in_short(found, view)),
            "findings": [finding_values(each, self._down_since) for each in found],
            "processes": process_values(view, lambda drift, report: self._is_stale(drift, report, view), both=True),
            "strangers": stranger_values(view),
            "services": {"broker": broker_values(self._redis_url, view, since)},
            "queues": dict(waiting.queued) if waiting else {},
        }

    def _is_stale(self, drift: Drift, report: Report, view: View) -> bool:
        if drift.against == "the files":
            return True
        stale = older(drift, view)
        return stale is not None and any(each.id == report.id for each in stale.processes)

    def _in_short(self, found: Sequence[Finding], view: View) -> str:
        if titles := titles_of(found):
            return titles
        if not any(standing.report.settings for standing in view.standings):
            return "No process has said yet what it holds."
        return f"Every process that reports holds what {'the files say' if self._has_files else 'the others hold'}."


def nobody_keeps(name: str, env_target: str | None) -> dict[str, Any]:
    """What is seen as long as nobody has named a Redis server."""
    view = View(Status.WARN, NOBODY_KEEPS, broker=NOBODY_KEEPS)
    found = Finding(_NOBODY_KEEPS, NOBODY_KEEPS, "broker", _NOBODY_KEEPS.cure)
    return {
        **board_head(name, env_target, Status.FAIL, titles_of([found])),
        "findings": [finding_values(found, None)],
        "processes": [],
        "strangers": [],
        "services": {"broker": {**broker_values("", view, None), "state": "unknown"}},
        "queues": {},
    }


def board_head(name: str, env_target: str | None, status: Status, output: str) -> dict[str, Any]:
    """The members that come first."""
    return {
        "status": str(status),
        "output": output,
        "name": name,
        "time": time_text(datetime.now(UTC)),
        "env_target": env_target,
    }


def status_of(found: Iterable[Finding], view: View) -> Status:
    """The status that goes with findings."""
    if view.broker is not None:
        return Status.FAIL
    return Status.WARN if any(each.kind.severity is not Severity.NOTE for each in found) else Status.PASS


def titles_of(found: Iterable[Finding]) -> str:
    """What was found in one sentence for each kind; empty where there are notes alone."""
    titles = list(dict.fromkeys(each.kind.title for each in found if each.kind.severity is not Severity.NOTE))
    return f"{'. '.join(titles)}." if titles else ""


def finding_values(finding: Finding, down_since: datetime | None) -> dict[str, Any]:
    """One finding, with its title and the URL of its page."""
    if finding.kind.id == BROKER_DOWN.id:
        finding = replace(finding, since=down_since)
    return {**finding.as_json(), "title": finding.kind.title, "url": site_link(finding.kind.page)}


def process_values(
    view: View,
    is_stale: Callable[[Drift, Report], bool],
    show: Collection[str] | None = None,
    shape: Shape = dict,
    *,
    both: bool = False,
) -> list[dict[str, Any]]:
    """Every process with ``differs``, the keys in which it is not as it should be, and ``stale``, those that matter.

    Args:
        view: what was seen.
        is_stale: whether a process is to blame for a drift.
        show: keys whose values are shown; all by default.
        shape: as for ``View.as_json``.
        both: whether of two processes that disagree both differ, where nobody knows what the files say.
    """
    differing: dict[str, dict[str, bool]] = {}
    for drift in view.drifts:
        for report in _holders(drift, view) if both else drift.processes:
            keys = differing.setdefault(report.id, {})
            keys[drift.key] = keys.get(drift.key, False) or is_stale(drift, report)
    found = []
    for standing, values in zip(view.standings, view.as_json(show, shape)["processes"], strict=True):
        keys = differing.get(standing.report.id, {})
        stale = [key for key, matters in keys.items() if matters]
        found.append({**values, "differs": list(keys), "stale": stale})
    return found


def _holders(drift: Drift, view: View) -> Iterable[Report]:
    """Those who differ: against the files the ones that do, among each other all who hold either value."""
    if drift.against == "the files":
        return drift.processes
    says = drift.says.fingerprint
    others = [each.report for each in view.standings if _fingerprint(each.report, drift.key) == says]
    return [*drift.processes, *others]


def _fingerprint(report: Report, key: str) -> str | None:
    held = report.setting(key)
    return held.fingerprint if held else None


def stranger_values(view: View) -> list[dict[str, Any]]:
    """Processes of other targets."""
    return [
        {"role": str(each.role), "pid": each.pid, "host": each.host, "env_target": each.env_target}
        for each in view.strangers
    ]


def broker_values(redis_url: str, view: View, since: datetime | None) -> dict[str, Any]:
    """The broker, and since when it is as it is."""
    return {
        "url": shown("REDIS_URL", redis_url),
        "state": "up" if view.broker is None else "down",
        "output": "it answers" if view.broker is None else view.broker,
        "since": time_text(since),
    }


def workers_of(processes: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any] | None, list[dict[str, Any]]]]:
    """Main processes with their pool children; children whose main process says nothing any more come last."""
    families: dict[tuple[str, int], list[dict[str, Any]]] = {}
    processes = list(processes)
    for child in (each for each in processes if each["role"] == Role.CHILD):
        families.setdefault((child["host"], child["parent"]), []).append(child)
    mains = [each for each in processes if each["role"] == Role.MAIN]
    found = [(main, families.pop((main["host"], main["pid"]), [])) for main in mains]
    return [*found, *((None, orphans) for orphans in families.values())]


def time_text(moment: datetime | None) -> str | None:
    """A time as it stands in JSON."""
    return moment.isoformat(timespec="milliseconds") if moment else None
