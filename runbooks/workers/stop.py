"""Stop a worker the one way that loses nothing: SIGTERM to its main process, once, and wait."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

import psutil

from runbooks.drift import is_alive
from runbooks.drift.processes import GONE
from runbooks.workers.ask import RunningJob
from runbooks.workers.model import Stop
from runbooks.workers.outcome import OtherUserError, StillRunningError
from runbooks.workers.progress import Listener, Progress

_LOOK_EVERY = 0.1


def stop_workers(stops: Sequence[Stop], timeout: float, listen: Listener) -> float:
    """Send SIGTERM to each main process, once, and wait until they and their children have gone.

    A running job completes; jobs that were only reserved go back to the queue. No other signal is ever sent.

    Args:
        stops: the workers. All are told before any is waited for, so that none takes what another gives back.
        timeout: seconds to wait.
        listen: told about ten times a second what is being waited for.

    Returns:
        Seconds it took.

    Raises:
        StillRunningError: one has not stopped in time. It was told to and still may.
        OtherUserError: this user may not signal it.
    """
    for stop in stops:
        tell(stop)
    return wait_until_gone(stops, timeout, listen)


def wait_until_gone(stops: Sequence[Stop], timeout: float, listen: Listener) -> float:
    """Wait until workers that were told to stop, and their children, have gone. As ``stop_workers`` otherwise."""
    began = time.monotonic()
    while waiting := [stop for stop in stops if _runs(stop)]:
        seconds = time.monotonic() - began
        if seconds > timeout:
            raise _still_running(waiting[0], timeout)
        listen(Progress("stop", seconds, f"pid {waiting[0].worker.pid}: {waits_for(waiting[0])}"))
        time.sleep(_LOOK_EVERY)
    seconds = time.monotonic() - began
    pids = ", ".join(str(stop.worker.pid) for stop in stops)
    listen(Progress("stop", seconds, f"pid {pids} has stopped", done=True))
    return seconds


def waits_for(stop: Stop) -> str:
    """What keeps a worker from leaving, in words."""
    for view in (stop.worker.process, *stop.worker.children):
        if _is_suspended(view.handle):
            who = "it" if view.pid == stop.worker.pid else f"its pool child {view.pid}"
            return f"{who} is suspended (SIGSTOP) and does nothing until: kill -CONT {view.pid}"
    jobs = _still_at_work(stop)
    if jobs:
        return ("its running job " if len(jobs) == 1 else "its running jobs ") + ", ".join(str(job) for job in jobs)
    if stop.answer is None:
        return "its running job, if it has one (it could not be asked)"
    return "its pool to leave"


def tell(stop: Stop) -> None:
    """Send SIGTERM to a worker's main process. One that has gone already is fine.

    Raises:
        OtherUserError: this user may not signal it.
    """
    process = stop.worker.process
    try:
        process.handle.send_signal(signal.SIGTERM)
    except GONE:
        return
    except psutil.AccessDenied as error:
        raise OtherUserError(
            f"Worker pid {process.pid} belongs to user {process.user} and may not be signalled by this one.",
            f"Run this as that user: sudo -u {process.user}",
        ) from error


def _runs(stop: Stop) -> bool:
    return any(is_alive(view.handle) for view in (stop.worker.process, *stop.worker.children))


def _still_at_work(stop: Stop) -> list[RunningJob]:
    alive = {view.pid for view in (stop.worker.process, *stop.worker.children) if is_alive(view.handle)}
    running = stop.answer.running if stop.answer else ()
    return [job for job in running if job.child in alive]


def _still_running(stop: Stop, timeout: float) -> StillRunningError:
    pid = stop.worker.pid
    reserved = stop.answer.reserved if stop.answer else None
    held = "the jobs that it had reserved" if reserved is None else f"the {reserved} jobs that it had reserved"
    return StillRunningError(
        f"Worker pid {pid} still runs {timeout:g} s after SIGTERM: {waits_for(stop)}. It takes no new jobs.",
        "Run the same command again to go on waiting (--timeout SECONDS). Harder, and only if you accept the loss: "
        f"kill -QUIT {pid} gives the running job up, which then stays 'running' for ever until you cancel it; "
        f"kill -KILL {pid} also leaves {held} waiting for the visibility timeout (3600 s by default).",
    )


def _is_suspended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_STOPPED
    except GONE:
        return False
