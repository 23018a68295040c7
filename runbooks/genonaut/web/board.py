"""What the status page shows, as plain values: the page and its JSON are made from the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from runbooks.drift import redact_text
from runbooks.drift.agreement import Drift, in_words
from runbooks.drift.findings import Finding
from runbooks.drift.health import Status, View, Watch
from runbooks.drift.report import Report, Role
from runbooks.drift.showing import shown
from runbooks.drift.web.board import (
    broker_values,
    finding_values,
    process_values,
    status_of,
    stranger_values,
    time_text,
    titles_of,
)
from runbooks.drift.web.sitelink import site_link
from runbooks.drift.web.waiting import Broker
from runbooks.genonaut.health import SHOWN, FilesNow, FilesWord, uses, with_comfyui
from runbooks.genonaut.store import JobStore
from runbooks.genonaut.tables import JobLine, utc_now
from runbooks.genonaut.web.comfy import Look, Looker
from runbooks.genonaut.web.findings import Cures, findings_of
from runbooks.genonaut.web.words import LONG, TAKES_LONG, Now, explain
from runbooks.genonaut.worker import GENERATION_QUEUE
from runbooks.settings import Settings

QUEUES = (GENERATION_QUEUE, "default")
JOBS = 10
"""Last jobs that are shown."""
LONGEST_PROMPT = 120
"""Characters of a prompt that are shown in a list."""


@dataclass(frozen=True)
class _Jobs:
    """What the job store says; ``error`` when it does not answer."""

    last: Sequence[JobLine] = ()
    pending: int = 0
    running: int = 0
    error: str | None = None


class Board:
    """Looks at everything that the status page shows. Safe to use from several threads."""

    def __init__(self, settings: Settings, files: FilesNow, watch: Watch, env_target: str | None) -> None:
        """Nothing is looked at yet.

        Args:
            settings: of this process.
            files: what the files say.
            watch: what looks at the processes.
            env_target: of this process.
        """
        self._settings, self._files, self._watch, self._env_target = settings, files, watch, env_target
        self._looker, self._broker = Looker(), Broker(settings.broker_url)
        self._cures = Cures(Path.cwd(), env_target)
        self._down_since: datetime | None = None

    def close(self) -> None:
        """Close the connection to the broker."""
        self._broker.close()

    def now(self) -> Now:
        """What is known now, to explain a job's error with."""
        return _now(self._watch.look(), self._files.of_comfyui())

    def broker_is_down(self) -> bool:
        """Whether the broker does not answer."""
        return self._watch.look().broker is not None

    def look(self, store: JobStore) -> dict[str, Any]:
        """Everything, as it is now. Takes a few milliseconds, and never waits longer than a second for any of it."""
        view = self._watch.look()
        # Nothing is known of the processes since then, as far as somebody has looked.
        self._down_since = (self._down_since or datetime.now(UTC)) if view.broker is not None else None
        word = self._files.of_comfyui()
        waiting = self._broker.look(view.now, QUEUES) if view.now is not None else None
        jobs = _ask(store)
        places = _places(view, word)
        looks = self._looker.look([raw for raw in places.values() if raw is not None])
        there = looks.get(word.url) if word is not None else None
        found = findings_of(view, there, word, self._cures, jobs.error)
        since = self._down_since or (waiting.since if waiting else None)
        status, now = _status(found, view, jobs), _now(view, word)
        return {
            "status": str(status),
            "output": _in_short(found, there),
            "time": time_text(datetime.now(UTC)),
            "env_target": self._env_target,
            "findings": [finding_values(each, self._down_since) for each in found],
            "processes": process_values(view, _is_stale, SHOWN, with_comfyui),
            "strangers": stranger_values(view),
            "services": {
                "broker": broker_values(self._settings.broker_url, view, since),
                "comfyui": [_comfyui(url, raw, looks, view, word) for url, raw in places.items()],
                "job_store": _job_store(self._settings, jobs),
            },
            "queue": {
                "waiting": sum(waiting.queued.values()) if waiting else None,
                "reserved": waiting.reserved if waiting else None,
                "pending": jobs.pending if jobs.error is None else None,
                "running": jobs.running if jobs.error is None else None,
            },
            "jobs": [job_values(job, now) for job in jobs.last],
        }


def job_values(job: JobLine, now: Now) -> dict[str, Any]:
    """One job in a list, its error in plain words.

    Args:
        job: the job.
        now: what is known now.
    """
    why = explain(job.error_message, now) if job.status in ("failed", "cancelled") else None
    since = job.started_at if job.status == "running" and job.started_at else job.created_at
    if why is None and (utc_now() - since).total_seconds() > LONG:
        why = TAKES_LONG.get(job.status)
    told = asdict(why) | {"url": site_link(why.page)} if why else None
    prompt = redact_text(" ".join(job.prompt.split()))
    return {
        "id": job.id,
        "status": job.status,
        "prompt": prompt if len(prompt) <= LONGEST_PROMPT else f"{prompt[:LONGEST_PROMPT]}…",
        "created": _of_store(job.created_at),
        "started": _of_store(job.started_at),
        "ended": _of_store(job.completed_at),
        "told": told,
    }


def _now(view: View, word: FilesWord | None) -> Now:
    if word is None:
        return Now()
    workers = [standing for standing in view.standings if standing.report.role is not Role.API]
    stale = any(drift.key == "COMFYUI_URL" and drift.matters for drift in view.drifts)
    # Who has said nothing yet may hold anything.
    known = any(standing.report.setting("COMFYUI_URL") for standing in workers)
    return Now(word.url, stale if known else None)


def _ask(store: JobStore) -> _Jobs:
    try:
        last, counts = store.overview(JOBS)
        return _Jobs(last, counts["pending"], counts["running"])
    except DBAPIError as error:
        return _Jobs(error=redact_text(str(error.orig).strip().partition("\n")[0]))


def _places(view: View, word: FilesWord | None) -> dict[str, str | None]:
    """Every ComfyUI URL in use, as it may be shown; with the URL to look at, where that is known."""
    found: dict[str, str | None] = {}
    if word is not None:
        found[shown("COMFYUI_URL", word.url)] = word.url
    for report in _users(view):
        url = report.setting("COMFYUI_URL")
        if url is not None:
            found.setdefault(url.value, None if "****" in url.value else url.value)
    return found


def _users(view: View) -> Iterable[Report]:
    """Those who talk to ComfyUI."""
    return (standing.report for standing in view.standings if standing.report.role is not Role.API)


def _status(found: Sequence[Finding], view: View, jobs: _Jobs) -> Status:
    return status_of(found, view) if jobs.error is None else Status.FAIL


def _in_short(found: Sequence[Finding], there: Look | None) -> str:
    """The state in one sentence."""
    if titles := titles_of(found):
        return titles
    answers = "ComfyUI answers" if there is not None else "ComfyUI has not been heard of yet"
    return f"Every process uses what the files say, and {answers}."


def _is_stale(drift: Drift, report: Report) -> bool:
    return drift.matters and uses(report, drift.key)


def _comfyui(url: str, raw: str | None, looks: dict[str, Look], view: View, word: FilesWord | None) -> dict[str, Any]:
    look = looks.get(raw) if raw is not None else None
    users = [each for each in _users(view) if (held := each.setting("COMFYUI_URL")) and held.value == url]
    named = word is not None and shown("COMFYUI_URL", word.url) == url
    if look is None:
        output = "it has not answered yet" if raw is not None else "it cannot be asked: its URL is not shown whole"
    else:
        output = look.seen.says
    return {
        "url": url,
        "state": "unknown" if look is None else "up" if look.takes_prompts else "down",
        "output": output,
        "output_dir": shown("COMFYUI_OUTPUT_DIR", look.seen.output) if look and look.seen.output else None,
        "since": time_text(look.since) if look else None,
        "used_by": in_words(users) if users else None,
        "named_by_files": named,
    }


def _job_store(settings: Settings, jobs: _Jobs) -> dict[str, Any]:
    return {
        "url": shown("DATABASE_URL", settings.database_url),
        "state": "up" if jobs.error is None else "down",
        "output": "it answers" if jobs.error is None else jobs.error,
        "since": None,
    }


def _of_store(moment: datetime | None) -> str | None:
    """A time of the job store, which is UTC without saying so."""
    return time_text(moment.replace(tzinfo=UTC)) if moment else None
