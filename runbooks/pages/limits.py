"""Stop a Python step that takes too long or writes without end, whatever it is waiting for.

Python runs a signal's handler between two of its own instructions. A step that waits in C for a child (a library's
own ``system()``) never gets there. So a thread looks on: it sends the main thread a signal, and when that has not
helped, it ends the children that the step started. Then the call returns, and the step hears of the signal.

There is one thread for all steps, begun with the first: 200 quick steps do not pay for it 200 times. It is away while
the process forks, which is not safe beside another thread; Python warns of it from 3.12 on.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # as `signal`, without its enumerations: far quicker
import _thread
import contextlib
import os
import signal
import sys
import threading
import time
import warnings

from runbooks.pages.capture import OUTPUT_LIMIT, TooMuchOutput
from runbooks.pages.processes import End, own_children, started_since, stop

# Nobody's: the system ignores it unless it is asked for. SIGALRM is left to the steps, and to pytest's plugins.
_SIGNAL = signal.SIGURG
# What the run itself hears, and the steps' alarm. A step may handle them as it likes; that ends with it.
_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
_TICK_SECONDS = 0.1
_RINGS_BEFORE_FORCE = 4
_RINGS_BEFORE_MORE_FORCE = 8
_LAST_SECONDS = 1.0


class TimedOut(BaseException):
    """The step took too long. Not an ``Exception``: a step's own handlers must not swallow it."""


class Limits:
    """Interrupts the main thread with ``TimedOut`` or ``TooMuchOutput``, from ``begin`` until ``over`` is set.

    Attributes:
        over: set it right behind what is limited, in a ``finally``: nothing is raised from then on.

    Args:
        seconds: how long it may take.
        output: the file that what it and its children write goes to.
        end: how children are ended.
    """

    def __init__(self, seconds: float, output: int, end: End) -> None:
        self.over = False
        self._deadline = time.monotonic() + seconds
        self._output = output
        self._end = end
        self._rings = 0
        self._children = own_children()
        self._started: list[int] = []
        self._quiet = contextlib.ExitStack()

    def begin(self) -> None:
        """Begin to look on. Only the main thread can be interrupted: in any other this does nothing."""
        self._outer = _onlooker.limits  # of the step that runs this page, if one does
        self._handler = None
        if _thread.get_ident() == threading.main_thread().ident:
            self._held = [(number, _signal.getsignal(number)) for number in _HELD]
            self._has_alarm = _signal.getitimer(signal.ITIMER_REAL)[0] > 0  # somebody else's, for the whole test say
            if not self._has_alarm:
                _signal.signal(signal.SIGALRM, _ring)
            self._handler = _signal.signal(_SIGNAL, self._interrupt)
            _onlooker.limits = self
            _onlooker.start()

    def close(self) -> None:
        """Look on no longer."""
        self._quiet.close()
        _onlooker.limits = self._outer
        if self._handler is None:
            return
        if not self._has_alarm:
            _signal.setitimer(signal.ITIMER_REAL, 0)
        _signal.signal(_SIGNAL, self._handler)
        for number, handler in self._held:
            if handler is not None and _signal.getsignal(number) != handler:
                _signal.signal(number, handler)

    def end_children(self) -> None:
        """End the children that were started since, and theirs."""
        self._end({*self._started, *started_since(self._children)})

    def look(self) -> None:
        """Interrupt the step if it has reached a limit. This is called on the other thread, again and again."""
        if self.over or not self._reached():
            return
        self._rings += 1
        with contextlib.suppress(ProcessLookupError):
            signal.pthread_kill(threading.main_thread().ident or 0, _SIGNAL)
        if self._rings > _RINGS_BEFORE_MORE_FORCE:
            stop(started_since(self._children))  # what ``hang_up`` spares must not hold the step for ever either
        elif self._rings == _RINGS_BEFORE_FORCE:
            self.end_children()

    def _reached(self) -> type[BaseException] | None:
        if time.monotonic() >= self._deadline:
            return TimedOut
        with contextlib.suppress(OSError):  # it has just been closed
            if os.fstat(self._output).st_size > OUTPUT_LIMIT:
                return TooMuchOutput
        return None

    def _interrupt(self, *_: object) -> None:
        reached = None if self.over else self._reached()
        if reached:
            # Before anything else is done: ``subprocess.run`` kills the shell that it waits for, and then nobody knows
            # any more what that one has started.
            self._started += started_since(self._children)
            self._quiet.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", ResourceWarning)  # of what it has had no time to close
            raise reached


def _ring(*_: object) -> None:
    """End the step whose alarm rings unheard. The system would end this process, and all pages with it."""
    sys.exit("Alarm clock")


class _Onlooker:
    """The thread.

    Attributes:
        limits: of the step that is running now.
    """

    def __init__(self) -> None:
        self.limits: Limits | None = None
        self._away: _thread.LockType | None = None
        self._gone = _thread.allocate_lock()

    def start(self) -> None:
        """Begin, unless it has begun. It is none of ``threading``'s, where a step might count it."""
        if self._away is None:
            self._away, self._gone = _thread.allocate_lock(), _thread.allocate_lock()
            self._away.acquire()
            self._gone.acquire()
            _thread.start_new_thread(self._look_on, (self._away, self._gone))

    def stop(self) -> None:
        """Go away."""
        away, self._away = self._away, None
        if away is not None:
            away.release()
            self._gone.acquire(timeout=_LAST_SECONDS)

    def resume(self) -> None:
        """Come back, if a step is running."""
        if self.limits is not None:
            self.start()

    def _look_on(self, away: _thread.LockType, gone: _thread.LockType) -> None:
        try:
            while not away.acquire(timeout=_TICK_SECONDS):
                if self.limits is not None:
                    self.limits.look()
        finally:
            gone.release()


_onlooker = _Onlooker()
os.register_at_fork(before=_onlooker.stop, after_in_parent=_onlooker.resume)
