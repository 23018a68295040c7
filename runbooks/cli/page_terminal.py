"""The operator's terminal: asked on, and put right again whatever a step did to it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import IO, TextIO

try:
    import termios
except ImportError:  # pragma: no cover - not a POSIX system
    termios = None  # type: ignore[assignment]

_PRESSES = 3
# No colours, line drawing, mouse reports, pasting marks or insertion; wrapped lines, a cursor. Leaving the alternate
# screen brings the cursor back to where it was saved, so it is saved first: then nothing moves if there was none.
_PLAIN_SCREEN = (
    "\x1b[0m\x0f\x1b(B\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?2004l\x1b[4l\x1b[?7h\x1b[?25h\x1b7\x1b[?1049l"
)


def own_stdout() -> TextIO:
    """Return standard output as it is now, also while a step has put something else in its place."""
    return os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="replace", closefd=False)


def can_ask() -> bool:
    """Say whether somebody sits at a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask_on_terminal(question: str) -> str:
    """Ask a question. What was typed before it was there is no answer to it.

    Raises:
        EOFError: the terminal has ended, or somebody pressed Ctrl-D.
    """
    if termios:
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    sys.stdout.write(question)
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise EOFError
    return answer


class SaneTerminal:
    """Context manager: keeps the terminal usable between the steps of a run, and leaves it as it was.

    A Python step runs in this process and can reach its terminal; a shell step has none.

    Args:
        out: where the run prints.
    """

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._has_screen = out.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")
        try:
            self._before = termios.tcgetattr(sys.stdin.fileno()) if termios and sys.stdin.isatty() else None
        except (OSError, ValueError):
            self._before = None

    def __enter__(self) -> SaneTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore(screen=False)

    def restore(self, *, screen: bool = True) -> None:
        """Set the terminal as it was when this was made, unless the run is in the background now.

        Args:
            screen: have the terminal itself leave what escape sequences have set, too.
        """
        if self._before is None or not self._take():
            return
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)
        finally:
            signal.signal(signal.SIGTTOU, before)
        if screen and self._has_screen:
            self.say(_PLAIN_SCREEN)

    def say(self, text: str) -> None:
        """Print in a handler of signals, where a stream may be in use."""
        with contextlib.suppress(OSError, ValueError):
            os.write(self._out.fileno(), text.encode())

    def _take(self) -> bool:
        """Say whether this run is in the terminal's foreground; if a step that is gone had taken it, take it back."""
        try:
            group = os.tcgetpgrp(sys.stdin.fileno())
            if group == os.getpgrp():
                return True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, 0)
                return False
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            try:
                os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
            finally:
                signal.signal(signal.SIGTTOU, before)
        except (OSError, ValueError):
            return False
        return True


@contextlib.contextmanager
def ends_at_third_interrupt(terminal: SaneTerminal) -> Iterator[None]:
    """Let the third Ctrl-C end this process at once: a Python step may swallow the others.

    The run's guard then ends what the steps have started.
    """
    presses = 0

    def press(_number: int, _frame: object) -> None:
        nonlocal presses
        presses += 1
        if presses >= _PRESSES:
            terminal.restore()
            terminal.say("\nEnded at once. What was under way: runbooks history\n")
            os._exit(130)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
