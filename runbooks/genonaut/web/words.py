"""What became of a job, in plain words: what happened, what to do, and the page to open."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from runbooks.drift import findings, redact_text
from runbooks.drift.showing import shown

JOB_PAGE = "troubleshooting.md#what-the-job-says"
DOWN_PAGE = "troubleshooting.md#503-image-queuing-service"
STORE_PAGE = "troubleshooting.md#503-the-job-store-does-not-answer"
BROKER_PAGE = "runbooks/redis-is-down.md"
SLOW_PAGE = "runbooks/mock-is-slow-or-hangs.md"
STUCK_PAGE = "runbooks/job-stuck-in-running.md"
PENDING_PAGE = "troubleshooting.md#a-job-stays-pending"
LONGEST = 400
"""Characters of an error that are quoted."""

_URL = re.compile(r"[a-z][a-z0-9+.\-]*://[^\s'\"<>]+", re.IGNORECASE)


@dataclass(frozen=True)
class Told:
    """Something that went wrong.

    Attributes:
        what: what happened, in a sentence for who asked for the picture.
        do: what to do about it.
        page: the page to open, below ``docs/``.
        detail: the error itself, as far as it may be shown; empty where ``what`` says it all.
    """

    what: str
    do: str
    page: str
    detail: str = ""


NOT_QUEUED = Told(
    "No picture can be made at the moment: no worker answers.",
    "Nothing was queued. Start the worker, then press Generate again.",
    DOWN_PAGE,
)
BROKER_DOWN = Told(
    "No picture can be made at the moment: the broker does not answer, so no worker can be reached.",
    "Nothing was queued. Start the broker; the worker finds it again by itself within 15 seconds.",
    BROKER_PAGE,
)
STORE_DOWN = Told(
    "The job store does not answer.",
    "Nothing can be stored or looked up until it does. Check that the database of DATABASE_URL runs.",
    STORE_PAGE,
)

LONG = 60.0
"""Seconds after which it is worth a look why a job has not ended."""
TAKES_LONG = {
    "pending": Told("No worker has taken it for more than a minute.", "See why.", PENDING_PAGE),
    "running": Told(
        "It has been running for more than a minute.", "A slow ComfyUI may need that; else see why.", STUCK_PAGE
    ),
}
"""What to say of a job that has not ended after ``LONG`` seconds, by its status."""


def fit_to_show(text: str) -> str:
    """An error's text, not too long, and without what in its URLs is or looks like a secret."""
    text = _URL.sub(lambda found: _shown(found.group()), text)
    text = redact_text(text).strip()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


@dataclass(frozen=True)
class Now:
    """What is known now, beside what the worker said then.

    Attributes:
        files_url: the ComfyUI URL that the files say, unmasked; None when nobody knows.
        is_stale: whether some worker holds another one; None when nobody knows.
    """

    files_url: str | None = field(default=None, repr=False)
    is_stale: bool | None = None


# The same few jobs are looked at again and again.
@lru_cache(maxsize=64)
def explain(error: str | None, now: Now) -> Told:
    """What the error of a failed job means.

    Args:
        error: ``error_message`` of the job.
        now: what is known now.
    """
    error = (error or "").strip()
    for told in _recognised(error, now):
        return told
    return Told(
        "The picture could not be made.", "Look the words up, or ask who runs this.", JOB_PAGE, fit_to_show(error)
    )


def _recognised(error: str, now: Now) -> Iterator[Told]:
    for pattern, tell in _KINDS:
        found = pattern.match(error)
        if found is not None:
            yield tell(found, now)


def _not_reached(found: re.Match[str], now: Now) -> Told:
    url = found["url"]
    if _is_old(url, now):
        return _stale(url, now, "and could not reach ComfyUI there")
    return Told(
        f"The worker could not reach ComfyUI at {_shown(url)}.",
        "Start ComfyUI or the mock there, then press Generate again.",
        findings.MOCK_UP,
    )


def _silent(found: re.Match[str], now: Now) -> Told:
    url = found["url"]
    if _is_old(url, now):
        return _stale(url, now, "and had no answer there in time")
    return Told(
        f"ComfyUI at {_shown(url)} took the job and did not answer in time.",
        "Look at its log and restart it, then press Generate again.",
        SLOW_PAGE,
    )


def _is_old(url: str, now: Now) -> bool:
    # As they are shown: a job's error names the URL without its login.
    return now.files_url is not None and _shown(url.rstrip("/")) != _shown(now.files_url.rstrip("/"))


def _stale(url: str, now: Now, end: str) -> Told:
    what = (
        f"The worker used {_shown(url)} for this job, {end}. The configuration now says {_shown(now.files_url or '')}."
    )
    if now.is_stale is False:
        return Told(what, "The worker has the new value by now: press Generate for a new job.", findings.RESTART)
    since = "" if now.is_stale else " if that was not done since"
    return Told(
        what, f"The worker must be restarted{since}. Until then every job fails like this one.", findings.RESTART
    )


def _misplaced(_found: re.Match[str], _now: Now) -> Told:
    return Told(
        "ComfyUI drew the picture, and the worker looked for it in another folder.",
        "URL and output folder must belong together: correct both, restart the worker, then press Generate again.",
        findings.SWITCH,
    )


def _rejected(found: re.Match[str], _now: Now) -> Told:
    return Told(
        "ComfyUI refused the job as it was asked for.",
        "Ask for something else: the size, the model or the sampler is not one that this ComfyUI has.",
        JOB_PAGE,
        fit_to_show(found["why"]),
    )


def _stranger(found: re.Match[str], _now: Now) -> Told:
    return Told(
        "Something answers at the worker's ComfyUI URL that is not ComfyUI.",
        "Correct the URL, or stop what holds that port.",
        findings.MOCK_UP,
        fit_to_show(found.group()),
    )


def _timed_out(_found: re.Match[str], _now: Now) -> Told:
    return Told(
        "ComfyUI took the job and never finished it.",
        "It may have been restarted meanwhile. Press Generate again.",
        STUCK_PAGE,
    )


def _cancelled(found: re.Match[str], _now: Now) -> Told:
    return Told("The job was cancelled.", "Press Generate for a new one.", JOB_PAGE, fit_to_show(found["why"]))


_KINDS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Now], Told]], ...] = (
    (re.compile(r"Failed to connect to ComfyUI at (?P<url>\S+?): "), _not_reached),
    (re.compile(r"ComfyUI at (?P<url>\S+) did not answer "), _silent),
    (re.compile(r"Unable to determine primary image path|No output files produced"), _misplaced),
    (re.compile(r"ComfyUI at \S+ rejected the workflow: (?P<why>.*)", re.DOTALL), _rejected),
    (re.compile(r".*is that ComfyUI\?$", re.DOTALL), _stranger),
    (re.compile(r"Workflow \S+ timed out after "), _timed_out),
    (re.compile(r"Cancelled: (?P<why>.*)", re.DOTALL), _cancelled),
)


def _shown(url: str) -> str:
    return shown("COMFYUI_URL", url)
