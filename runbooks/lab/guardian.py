"""The guardian: a process that stops the lab when the process that started it dies without a word.

``python -m runbooks.lab.guardian ROOT`` reads its standard input, a pipe from the starter, until that is closed. The
word ``done`` before means that the starter has stopped the lab, or that the lab shall go on without it. The system
closes the pipe when the starter is killed, with SIGKILL too, and then there is no word.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from runbooks.lab.lifeline import DONE
from runbooks.lab.stop import stop_lab


def main() -> None:
    """Wait for the starter's last word."""
    root = Path(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    if sys.stdin.buffer.read() != DONE:
        say("The process that started this lab has died: stopping the lab.")
        stop_lab(root, say=say)


if __name__ == "__main__":
    main()
