"""What speaks against a restart, each with what to do instead."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from runbooks.workers.by_hand import how_to_start
from runbooks.workers.find import Found, Worker, is_ours
from runbooks.workers.model import Start, Stop
from runbooks.workers.outcome import (
    CannotStartError,
    KeptByAnotherError,
    NoWorkerError,
    OtherUserError,
    RestartError,
    SeveralWorkersError,
)
from runbooks.workers.supervisor import Keeper


def nothing_found(found: Found, app: str) -> RestartError:
    """The error for an installation without a worker: what runs instead, and how to start one."""
    unreadable = next((miss.worker.process for miss in found.near_misses if miss.unreadable), None)
    if unreadable is not None:
        return OtherUserError(
            f"No worker of {found.env_target} in {found.root} may be looked into by this user; "
            f"pid {unreadable.pid} of user {unreadable.user} may be the one.",
            _as_that_user(unreadable.user, found.env_target, found.root),
        )
    what = f"No worker of {found.env_target} runs in {found.root}."
    if found.near_misses:
        named = "; ".join(f"pid {miss.worker.pid} {miss.why}" for miss in found.near_misses)
        what += f" Not meant: {named}."
    return NoWorkerError(what, f"Start one: {how_to_start(found.root, found.env_target, app)}")


def _as_that_user(user: str, env_target: str, root: Path) -> str:
    command = f"runbooks restart-worker --env-target {env_target} --root {shlex.quote(str(root))}"
    return f"Run this as that user: sudo -u {user} {command}"


def what_is_in_the_way(
    found: Found, stops: Sequence[Stop], starts: Sequence[Start], *, chosen: bool, take_over: bool
) -> tuple[RestartError, ...]:
    """Everything that speaks against a restart, the most important first.

    Args:
        found: all workers of the installation.
        stops: those that would be stopped.
        starts: those that would be started.
        chosen: whether somebody said which of several workers are meant.
        take_over: whether a worker in a terminal may be stopped from here.
    """
    several = [] if chosen or len(found.workers) < 2 else [_several(found)]
    kept = [error for stop in stops for error in _kept(stop, found, take_over)]
    return (*several, *kept, *_cannot_start(starts))


def _several(found: Found) -> RestartError:
    newest = found.workers[-1]
    named = "; ".join(_described(worker, newest) for worker in found.workers)
    older = next(worker for worker in found.workers if worker is not newest)
    return SeveralWorkersError(
        f"{len(found.workers)} workers of {found.env_target} run in {found.root}: {named}.",
        f"They share the jobs. Stop and replace all with one: --all; restart one alone: --pid {newest.pid}; "
        f"only stop the older one: kill -TERM {older.pid}",
    )


def _described(worker: Worker, newest: Worker) -> str:
    text = f"pid {worker.pid} (since {worker.process.started.astimezone():%Y-%m-%d %H:%M:%S}"
    if worker is newest:
        return f"{text}, the newest)"
    return f"{text}, an orphan: what started it is gone)" if worker.process.ppid == 1 else f"{text})"


def _kept(stop: Stop, found: Found, take_over: bool) -> list[RestartError]:
    errors: list[RestartError] = []
    worker, kept = stop.worker, stop.kept
    if not is_ours(worker):
        user = worker.process.user
        do = _as_that_user(user, found.env_target, found.root)
        errors.append(OtherUserError(f"Worker pid {worker.pid} belongs to user {user}.", do))
    if kept is not None and not (kept.by is Keeper.TERMINAL and take_over):
        do = kept.do
        if kept.by is Keeper.TERMINAL:
            do += " Or let it be stopped there and started in the background: --take-over"
        errors.append(KeptByAnotherError(f"Worker pid {worker.pid}: {kept.what}", do))
    return errors


def _cannot_start(starts: Sequence[Start]) -> list[RestartError]:
    return [
        CannotStartError(f"The worker could not be started again: {reason}.", f"Nothing was touched. {do}")
        for start in starts
        for reason, do in _obstacles(start)
    ]


def _obstacles(start: Start) -> list[tuple[str, str]]:
    if not start.cwd.is_dir():
        return [(f"its folder {start.cwd} is gone", "Restore it, or start the worker anew from where it lives now.")]
    restore = "Restore that virtual environment first."
    found = [
        (f"its program {program} is gone", restore)
        for program in _programs(start)
        if not (start.cwd / program).is_file()
    ]
    if program_on_path(start) is None:
        found.append((f"there is no {start.argv[0]} on its PATH", restore))
    folder = start.output if start.output.exists() else _existing_parent(start.output)
    if not os.access(folder, os.W_OK):
        found.append((f"its log {start.output} may not be written", "Make it writable for this user."))
    return found


def _programs(start: Start) -> list[str]:
    """The words of the command line that must be files: the interpreter, and the script that it runs."""
    words = [start.argv[0]] if "/" in start.argv[0] else []
    script = start.argv[1] if len(start.argv) > 1 else ""
    return [*words, *([script] if script.startswith("/") else [])]


def program_on_path(start: Start) -> str | None:
    """Where the program is; the same word when it names a file already."""
    program = start.argv[0]
    return program if "/" in program else shutil.which(program, path=start.environment.variables.get("PATH"))


def _existing_parent(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.exists())
