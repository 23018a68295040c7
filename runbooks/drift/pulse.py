"""A beat that comes from where the work is done.

A thread of its own would go on beating while the work hangs. So the thread only knocks, and the place of work answers:
the main thread by a signal's handler, which runs between two steps of a job and while an idle pool child waits for one;
an event loop by a callback. No answer, no beat. The answer is one assignment, so it neither delays the work nor can it
fail in the middle of it, and all that talks to the network stays in the thread.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

logger = logging.getLogger(__name__)

_LOOK_EVERY = (0.005, 0.02, 0.05, 0.1, 0.25)
"""Seconds between looks for the answer: most come at once, and a job in a long C call may take minutes."""


class Place(Protocol):
    """Where work is done."""

    answered: int
    """Number of the last knock that was answered."""

    def knock(self, number: int) -> None:
        """Have ``answered`` set to ``number`` there, now or when the place has time.

        Raises:
            RuntimeError: the place is closed for good.
        """


class MainThread:
    """The main thread of this process, which does a solo worker's or a pool child's jobs.

    Uses SIGURG, which nothing else uses and which is ignored where nobody handles it. A handler that is there already
    is called as before. Make it in the main thread.
    """

    def __init__(self) -> None:
        self.answered = 0
        self._knocked = 0
        self._before = signal.getsignal(signal.SIGURG)
        signal.signal(signal.SIGURG, self._answer)

    def knock(self, number: int) -> None:
        """As ``Place``."""
        self._knocked = number
        identity = threading.main_thread().ident
        assert identity is not None
        signal.pthread_kill(identity, signal.SIGURG)

    def _answer(self, number: int, frame: FrameType | None) -> None:
        # Anything may be going on: no lock, no call, no log. What a soft time limit raises here belongs to the job.
        self.answered = self._knocked
        if callable(self._before):
            self._before(number, frame)


class EventLoop:
    """An asyncio event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answered = 0
        self._loop = loop

    def knock(self, number: int) -> None:
        """As ``Place``."""
        self._loop.call_soon_threadsafe(self._answer, number)

    def _answer(self, number: int) -> None:
        self.answered = number


class Pulse:
    """Calls ``beat`` every few seconds, in a thread, as long as the place of work answers."""

    def __init__(self, beat: Callable[[], object], place: Place, every: float) -> None:
        """Nothing beats yet.

        Args:
            beat: must not raise.
            place: where the work is done.
            every: seconds between two beats.
        """
        self._beat, self._place, self._every = beat, place, every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settings-report", daemon=True)

    def start(self) -> None:
        """Begin with a beat as soon as the place answers."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """No beat begins after this; one that is on its way gets ``timeout`` seconds to end."""
        self._stopped.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            try:
                self._place.knock(number)
            except (RuntimeError, OSError):
                return
            if self._answered(number):
                self._beat()
                self._stopped.wait(self._every)

    def _answered(self, number: int) -> bool:
        """Wait for the answer; after some beats without one it is time to knock again."""
        waited = 0.0
        while waited < 5 * self._every and not self._stopped.is_set():
            if self._place.answered >= number:
                return True
            pause = next((step for step in _LOOK_EVERY if waited < 10 * step), _LOOK_EVERY[-1])
            self._stopped.wait(pause)
            waited += pause
        return False
