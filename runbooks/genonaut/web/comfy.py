"""Who answers at the ComfyUI URLs in use, looked at beside the requests: nobody waits long for a ComfyUI that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from runbooks.drift.atonce import Asked
from runbooks.drift.comfy import Answerer, Seen, look_at_url

COMFYUI = (Answerer.COMFYUI, Answerer.KERNIE_GEN, Answerer.GENONAUT_MOCK)
"""Those who take prompts."""
STEP = 0.4
"""Seconds that ComfyUI gets for each step of an answer."""
FRESH, STALE = 1.0, 5.0
"""Seconds after which a look is made anew, and after which it is waited for."""
WAIT = 0.6
"""Seconds that are waited for where nothing, or nothing recent, is known."""
MOST = 4
"""URLs that are looked at. More are not in use at a time, or something else is wrong."""


@dataclass(frozen=True)
class Look:
    """What is known of one URL.

    Attributes:
        seen: who answered.
        since: since when the same one has answered, or nobody, as far as was looked; by this machine's clock.
        at: when it was looked, by the clock of ``time.monotonic``.
    """

    seen: Seen
    since: datetime
    at: float

    @property
    def takes_prompts(self) -> bool:
        """Whether that is a ComfyUI, real or mock."""
        return self.seen.who in COMFYUI


class Looker:
    """Looks at URLs again and again, as long as somebody asks. Safe to use from several threads."""

    def __init__(self) -> None:
        self._known: dict[str, Look] = {}
        self._asked: dict[str, Asked[None]] = {}
        self._lock = threading.Lock()

    def look(self, urls: Collection[str]) -> dict[str, Look]:
        """What is known of these URLs; one of which nothing is known in time is left out.

        Waits only for what is not known, or has not been looked at for ``STALE`` seconds, and at most ``WAIT`` seconds.
        """
        urls = list(urls)[:MOST]
        began = time.monotonic()
        with self._lock:
            waited_for = [asked for url in urls if (asked := self._begin(url, began)) is not None]
        for asked in waited_for:
            asked.answer(began + WAIT)
        with self._lock:
            known = {url: self._known[url] for url in urls if url in self._known}
        # One that is being looked at for longer than it may take to answer tells nothing by what it was before.
        return {url: look for url, look in known.items() if began - look.at < STALE}

    def _begin(self, url: str, now: float) -> Asked[None] | None:
        """Have a URL looked at if that is due; the question, where its answer should be waited for."""
        age = now - self._known[url].at if url in self._known else float("inf")
        if age > FRESH and url not in self._asked:
            self._asked[url] = Asked(lambda: self._look(url))
        return self._asked.get(url) if age > STALE else None

    def _look(self, url: str) -> None:
        began = time.monotonic()
        try:
            seen = look_at_url(url, STEP)
            with self._lock:
                before = self._known.get(url)
                same = before is not None and before.seen.who is seen.who
                since = before.since if before is not None and same else datetime.now(UTC)
                self._known[url] = Look(seen, since, time.monotonic())
                self._known = {key: look for key, look in self._known.items() if began - look.at < 60}
        finally:
            with self._lock:
                self._asked.pop(url, None)
