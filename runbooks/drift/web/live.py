"""One look for all who watch: their events come from one task, which works only while somebody watches.

Nobody's thread is held: a stream waits in the event loop, and the looks are made in one thread, one after the other. A
client that reads slowly misses events and gets the newest one; a client that has gone is forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

EVERY = 0.5
"""Seconds between two looks."""
AT_LEAST = 2.0
"""Seconds after which an event is sent though nothing has changed: the last words of the processes have."""
MOST = 100
"""Streams at the same time."""
RETRY = "retry: 2000\n\n"
"""What a stream begins with: milliseconds after which a browser comes back when it has ended."""

Look = Callable[[], dict[str, Any]]
Form = Callable[[dict[str, Any]], str]
"""Makes the one line of an event of what was seen."""


class TooManyStreams(Exception):  # noqa: N818 - what is asked for is fine
    """``MOST`` are open."""


@dataclass(frozen=True)
class _Event:
    number: int
    texts: dict[str, str]


class Live:
    """The streams of one application. To be used in its event loop alone."""

    def __init__(
        self,
        look: Look,
        forms: Mapping[str, Form],
        *,
        every: float = EVERY,
        most: int = MOST,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Nothing is looked at before somebody watches.

        Args:
            look: looks; called in a thread.
            forms: how an event is written, by name; called in the same thread.
            every: seconds between two looks.
            most: streams at the same time.
            is_over: whether all streams shall end; asked before each look.
        """
        self._look, self._forms, self._every, self._most = look, forms, every, most
        self._is_over = is_over
        self._watching: Counter[str] = Counter()
        self._event: _Event | None = None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._over = False

    @property
    def watching(self) -> int:
        """How many streams are open."""
        return self._watching.total()

    def stream(self, form: str) -> AsyncGenerator[str, None]:
        """The events from now on, the first one at once, until ``end`` is called.

        Raises:
            TooManyStreams: as many as may be are open.
        """
        if self.watching >= self._most:
            raise TooManyStreams
        return self._stream(form)

    async def _stream(self, form: str) -> AsyncGenerator[str, None]:
        self._watching[form] += 1
        try:
            yield RETRY
            seen = -1
            while not self._over:
                self._start()
                event, news = self._event, self._news
                if event is not None and event.number != seen and form in event.texts:
                    seen = event.number
                    yield f"id: {event.number}\nevent: status\ndata: {event.texts[form]}\n\n"
                else:
                    await news.wait()
        finally:
            self._watching[form] -= 1

    def end(self) -> None:
        """End all streams, so that the server that waits for them can stop."""
        self._over = True
        self._news.set()
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        if self._task is None or self._task.done():
            # What was seen when somebody watched before is of then.
            self._event = None
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        number, before, sent = time.time_ns(), None, float("-inf")
        while self.watching and not self._over:
            if self._is_over():
                self.end()
                break
            began = time.monotonic()
            wanted = [form for form, count in self._watching.items() if count]
            missing = self._event is None or not set(wanted) <= self._event.texts.keys()
            seen = await self._in_thread(self._look)
            core = _core(seen) if seen is not None else before
            if seen is not None and (core != before or missing or began - sent >= AT_LEAST):
                texts = await self._in_thread(self._write, seen, wanted)
                if texts is not None:
                    number, before, sent = number + 1, core, began
                    self._publish(_Event(number, texts))
            await asyncio.sleep(max(self._every - (time.monotonic() - began), 0.05))

    def _write(self, seen: dict[str, Any], forms: Iterable[str]) -> dict[str, str]:
        return {form: self._forms[form](seen) for form in forms}

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """The result, or None when that failed, which must not end the streams: who watches sees how old all is."""
        try:
            return await asyncio.to_thread(work, *arguments)
        except Exception:
            logger.exception("The status could not be told")
            return None

    def _publish(self, event: _Event) -> None:
        self._event = event
        news, self._news = self._news, asyncio.Event()
        news.set()


def _core(seen: dict[str, Any]) -> dict[str, Any]:
    """What was seen without what is different at every look."""
    passing = {"last_word", "age"}
    processes = [
        {key: value for key, value in process.items() if key not in passing} for process in seen.get("processes", ())
    ]
    return {**seen, "time": None, "processes": processes}
