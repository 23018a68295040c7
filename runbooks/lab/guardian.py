"""The guardian: a process that stops the lab when the process that started it dies without a word.

``python -m runbooks.lab.guardian ROOT`` reads its standard input, a pipe from the starter, until that is closed. The
word ``done`` before means that the starter has stopped the lab, or that the lab shall go on without it. The system
closes the pipe when the starter is killed, with SIGKILL too, and then there is no word. With ``--temporary`` the lab
is removed, as its starter would have done at the end; who used it (the steps of a page) has nothing to use any more,
and is killed.
"""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from runbooks.lab.lifeline import DONE, TEMPORARY
from runbooks.lab.processes import users_of
from runbooks.lab.stop import stop_lab


def main() -> None:
    """Wait for the starter's last word."""
    root = Path(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    if sys.stdin.buffer.read() == DONE:
        return
    if sys.argv[2:] == [TEMPORARY]:
        # Imported when it is needed: every lab waits for its guardian to have started.
        from runbooks.lab.lab import discard

        for process in users_of(root):
            with suppress(psutil.Error):
                process.kill()
        discard(root)
        return
    say("The process that started this lab has died: stopping the lab.")
    stop_lab(root, say=say)


if __name__ == "__main__":
    main()
