"""Start a worker in the background, so that it belongs to nobody's terminal and is nobody's child."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import psutil

from runbooks.drift import ProcessView, is_alive, look_at
from runbooks.drift.presence import REPLACES
from runbooks.drift.processes import GONE
from runbooks.drift.whoami import name_of
from runbooks.workers.ask import node_of
from runbooks.workers.log import LogPart
from runbooks.workers.model import Start
from runbooks.workers.outcome import StartFailedError
from runbooks.workers.progress import Listener, Progress

_LOOK_EVERY = 0.05
# A worker that listens answers in a hundredth of a second. It says that it is ready a moment before it listens, and
# what it is asked in between it never hears.
_ASK_TIMEOUT = 0.4
_ASK_EVERY = 1.0
_ASK_READY_EVERY = 0.1
_ASK_READY_FOR = 2.0

# The worker must outlive whoever restarts it, and a finished one must not stay a zombie of, say, a test run: this small
# process starts it in a session of its own and leaves.
_LAUNCHER = """
import json, os, subprocess, sys
argv, log = json.loads(sys.argv[1]), sys.argv[2]
with open(log, "ab") as output:
    try:
        worker = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    except OSError as error:
        sys.exit(f"{error.filename or argv[0]}: {error.strerror}")
print(worker.pid, flush=True)
os._exit(0)
"""


def start_worker(start: Start) -> tuple[ProcessView, LogPart]:
    """Start it with its output appended to its log.

    Returns:
        The new main process, and what it writes into its log.

    Raises:
        StartFailedError: the program could not be started, or died at once.
    """
    part = LogPart.from_now_on(start.log)
    replaces = {} if start.replaces is None else {REPLACES: name_of(start.replaces)}
    try:
        start.output.parent.mkdir(parents=True, exist_ok=True)
        launched = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, json.dumps(start.argv), str(start.output)],
            cwd=start.cwd,
            env={**start.environment.variables, **replaces},
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
    except OSError as error:
        raise StartFailedError(
            f"A new worker could not be started: {error.filename}: {error.strerror}.", "Mend that."
        ) from error
    pid = launched.stdout.strip()
    if launched.returncode != 0 or not pid.isdigit():
        raise StartFailedError(f"A new worker could not be started: {launched.stderr.strip()}.", "Mend that.")
    return _first_look(int(pid), part), part


def _first_look(pid: int, part: LogPart) -> ProcessView:
    try:
        process = psutil.Process(pid)
    except GONE as error:
        raise died(pid, part) from error
    # In the middle of its exec a process has no command line.
    while (view := look_at(pid)) is None:
        if not is_alive(process):
            raise died(pid, part)
        time.sleep(_LOOK_EVERY)
    return view


def wait_until_it_answers(start: Start, new: ProcessView, part: LogPart, timeout: float, listen: Listener) -> str:
    """Wait until the new worker answers over the broker, or says that it is ready where it cannot be asked.

    Returns:
        How it is known, in words.

    Raises:
        StartFailedError: it died, or did not answer within ``timeout`` seconds.
    """
    began = time.monotonic()
    ask_next = began + _ASK_EVERY
    ready_since: float | None = None
    while (seconds := time.monotonic() - began) < timeout:
        if not is_alive(new.handle):
            raise died(new.pid, part)
        if ready_since is None and part.says_ready():
            ready_since = ask_next = time.monotonic()
        if time.monotonic() >= ask_next:
            node = node_of(start.broker, new.pid, timeout=_ASK_TIMEOUT) if start.broker else None
            if node or (ready_since and time.monotonic() - ready_since > _ASK_READY_FOR):
                says = f"{node} answers" if node else "its log says ready (it could not be asked)"
                listen(Progress("answer", time.monotonic() - began, f"pid {new.pid}: {says}", done=True))
                return says
            ask_next = time.monotonic() + (_ASK_READY_EVERY if ready_since else _ASK_EVERY)
        listen(Progress("answer", seconds, f"pid {new.pid} to be ready"))
        time.sleep(_LOOK_EVERY)
    raise StartFailedError(
        f"The new worker (pid {new.pid}) runs, but does not answer after {timeout:g} s. {_tail(part)}",
        f"Is its broker up? Its log: {part.file}",
    )


def died(pid: int, part: LogPart) -> StartFailedError:
    """The error for a worker that ended at its start, with what it wrote last."""
    return StartFailedError(
        f"The new worker (pid {pid}) died at its start. {_tail(part)}", f"Its log: {part.file} Mend that."
    )


def _tail(part: LogPart) -> str:
    lines = part.last_lines()
    return "It wrote last:\n  " + "\n  ".join(lines) + "\n" if lines else "It wrote nothing."
