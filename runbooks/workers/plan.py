"""What a restart would do, decided before anything is touched."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbooks.drift import Agreement, Holding, compare, redact_text
from runbooks.errors import UserError
from runbooks.settings import Layers, read_layers
from runbooks.workers.ask import Answer, ask_worker
from runbooks.workers.command import DEFAULT_APP
from runbooks.workers.environment import Rebuilt, rebuild_environment
from runbooks.workers.find import Found, NearMiss, Worker, broker_of, find_workers, is_ours
from runbooks.workers.log import output_of, where_it_logs
from runbooks.workers.outcome import (
    CannotStartError,
    KeptByAnotherError,
    NoWorkerError,
    OtherUserError,
    RestartError,
    SeveralWorkersError,
)
from runbooks.workers.supervisor import Keeper, Kept, who_keeps


@dataclass(frozen=True)
class Stop:
    """One worker that is to stop, and what is known of it.

    Attributes:
        worker: its main process and children.
        holdings: what it holds beside what the files say, variable by variable.
        answer: what it says that it runs; None when it cannot be asked or does not answer.
        kept: who keeps it running, None if nobody does.
    """

    worker: Worker
    holdings: tuple[Holding, ...]
    answer: Answer | None
    kept: Kept | None

    @property
    def stale(self) -> tuple[Holding, ...]:
        """What it does not, or perhaps not, hold as the files say now."""
        return tuple(holding for holding in self.holdings if holding.agreement is not Agreement.SAME)

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        process = self.worker.process
        return {
            "pid": self.worker.pid,
            "started": process.started.isoformat(),
            "stopped_by_signal": process.stopped,
            "children": [child.pid for child in self.worker.children],
            "broker": redact_text(self.worker.broker or "") or None,
            "node": self.answer.node if self.answer else None,
            "running": [job.as_json() for job in self.answer.running] if self.answer else None,
            "reserved": self.answer.reserved if self.answer else None,
            "holdings": [holding.as_json() for holding in self.holdings],
            "kept_by": str(self.kept.by) if self.kept else None,
        }


@dataclass(frozen=True)
class Start:
    """One worker that is to be started: the old command line, in the old folder, with the rebuilt environment.

    Attributes:
        argv: command line.
        cwd: working directory.
        environment: what it gets, and where that differs from the old one.
        output: file that its output is appended to.
        log: file that has Celery's own lines; mostly ``output``.
        broker: URL of the broker that it will use.
    """

    argv: tuple[str, ...]
    cwd: Path
    environment: Rebuilt
    output: Path
    log: Path
    broker: str | None

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "argv": [redact_text(word) for word in self.argv],
            "cwd": str(self.cwd),
            "changes": [change.as_json() for change in self.environment.changes],
            "output": str(self.output),
        }


@dataclass(frozen=True)
class RestartPlan:
    """What would be stopped and started, and what is in the way.

    Attributes:
        root: folder of the installation.
        env_target: such as ``local-demo``.
        stops: workers to stop.
        starts: workers to start; fewer than ``stops`` where doubles become one.
        near_misses: workers of the same application that are left alone.
        in_the_way: why it must not be carried out as it is; empty when nothing speaks against it.
        keep: variables that survive from the old environment.
    """

    root: Path
    env_target: str
    stops: tuple[Stop, ...]
    starts: tuple[Start, ...]
    near_misses: tuple[NearMiss, ...]
    in_the_way: tuple[RestartError, ...]
    keep: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "root": str(self.root),
            "env_target": self.env_target,
            "stop": [stop.as_json() for stop in self.stops],
            "start": [start.as_json() for start in self.starts],
            "left_alone": [{"pid": miss.worker.pid, "why": miss.why} for miss in self.near_misses],
            "in_the_way": [{"kind": it.kind, "what": it.what, "do": it.do} for it in self.in_the_way],
        }


def plan_restart(
    env_target: str = "local-demo",
    root: Path | None = None,
    *,
    app: str = DEFAULT_APP,
    broker: str | None = None,
    pid: int | None = None,
    every: bool = False,
    keep: Collection[str] = (),
    take_over: bool = False,
) -> RestartPlan:
    """Look at everything and decide. Nothing is touched.

    Args:
        env_target: such as ``local-demo``.
        root: the folder with ``config/`` and ``env/``; by default ``GENONAUT_ROOT`` or the working directory.
        app: the Celery application as given to ``-A``.
        broker: only workers on this broker are meant.
        pid: main process of the one worker meant, where several run.
        every: all of several workers are meant; doubles become one.
        keep: variables that survive from the old environment though a file sets them.
        take_over: stop a worker that runs in a terminal, and start it in the background.

    Raises:
        NoWorkerError: none runs.
        OtherUserError: only workers of other users run, and what they run with may not be read.
        UserError: unknown target, or files that cannot be read.
    """
    found = find_workers(env_target, root, app=app, broker=broker)
    layers = read_layers(found.root, env_target, {})
    if not found.workers:
        raise _nothing_found(found)
    chosen = _chosen(found, pid, every)
    stops = tuple(_stop(worker, found, layers) for worker in chosen)
    starts = _starts(chosen, layers, keep)
    in_the_way = [*_too_many(found, pid, every), *_kept(stops, take_over), *_cannot_start(starts)]
    return RestartPlan(found.root, env_target, stops, starts, found.near_misses, tuple(in_the_way), tuple(keep))


def refresh(start: Start, old: Worker, plan: RestartPlan) -> Start:
    """The same start with the environment that the files give now.

    Raises:
        UserError: the files have become unreadable.
    """
    layers = read_layers(plan.root, plan.env_target, {})
    return _start(old, start.output, layers, plan.keep)


def _chosen(found: Found, pid: int | None, every: bool) -> tuple[Worker, ...]:
    if pid is None or every:
        return found.workers
    chosen = tuple(worker for worker in found.workers if worker.pid == pid)
    if not chosen:
        known = ", ".join(str(worker.pid) for worker in found.workers)
        raise UserError(
            f"{pid} is not the main process of a worker of {found.env_target} in {found.root}.",
            f"Use --pid with one of: {known}.",
        )
    return chosen


def _stop(worker: Worker, found: Found, layers: Layers) -> Stop:
    process = worker.process
    children = [child.pid for child in worker.children]
    others = [other for other in found.all_workers if other.pid != worker.pid]
    alone = not any(other.broker in (worker.broker, None) for other in others)
    answer = ask_worker(worker.broker, worker.pid, children, alone=alone) if worker.broker else None
    holdings = compare(process.environ or {}, process.started, layers)
    return Stop(worker, tuple(holdings), answer, who_keeps(process))


def _starts(workers: Sequence[Worker], layers: Layers, keep: Collection[str]) -> tuple[Start, ...]:
    # The newest of workers with one command line is the pattern; they share a node name, so only one may run.
    newest = {worker.process.argv: worker for worker in workers}
    return tuple(_start(worker, output_of(worker, layers.root), layers, keep) for worker in newest.values())


def _start(worker: Worker, output: Path, layers: Layers, keep: Collection[str]) -> Start:
    process = worker.process
    environment = rebuild_environment(process.environ or {}, layers, keep)
    return Start(
        argv=process.argv,
        cwd=process.cwd or layers.root,
        environment=environment,
        output=output,
        log=where_it_logs(worker, output),
        broker=broker_of(environment.variables, layers),
    )


def _nothing_found(found: Found) -> RestartError:
    unreadable = next((miss for miss in found.near_misses if miss.unreadable), None)
    if unreadable is not None:
        return _of_other_user(unreadable.worker, found)
    what = f"No worker of {found.env_target} runs in {found.root}."
    if found.near_misses:
        named = "; ".join(f"pid {miss.worker.pid} {miss.why}" for miss in found.near_misses)
        what += f" Not meant: {named}."
    return NoWorkerError(what, f"Start one: cd {shlex.quote(str(found.root))} && make {_make_target(found.env_target)}")


def _make_target(env_target: str) -> str:
    return f"celery-{env_target.rpartition('-')[2]}"


def _of_other_user(worker: Worker, found: Found) -> OtherUserError:
    process = worker.process
    command = f"runbooks restart-worker --env-target {found.env_target} --root {shlex.quote(str(found.root))}"
    return OtherUserError(
        f"Worker pid {worker.pid} belongs to user {process.user}.",
        f"Run this as that user: sudo -u {process.user} {command}",
    )


def _too_many(found: Found, pid: int | None, every: bool) -> list[RestartError]:
    if len(found.workers) < 2 or every or pid is not None:
        return []
    newest = found.workers[-1]
    named = "; ".join(describe_double(worker, newest) for worker in found.workers)
    older = next(worker for worker in found.workers if worker is not newest)
    return [
        SeveralWorkersError(
            f"{len(found.workers)} workers of {found.env_target} run in {found.root}: {named}.",
            f"They share the jobs. Stop and replace all with one: --all; restart one alone: --pid {newest.pid}; "
            f"only stop the older one: kill -TERM {older.pid}",
        )
    ]


def describe_double(worker: Worker, newest: Worker) -> str:
    """One of several workers in a few words: pid, start, and whether it looks like an orphan."""
    text = f"pid {worker.pid} (since {worker.process.started.astimezone():%Y-%m-%d %H:%M:%S}"
    if worker is newest:
        return f"{text}, the newest)"
    return f"{text}, an orphan: what started it is gone)" if worker.process.ppid == 1 else f"{text})"


def _kept(stops: Sequence[Stop], take_over: bool) -> list[RestartError]:
    found: list[RestartError] = []
    for stop in stops:
        worker = stop.worker
        if not is_ours(worker):
            user = worker.process.user
            found.append(
                OtherUserError(
                    f"Worker pid {worker.pid} belongs to user {user}.",
                    f"Run this as that user: sudo -u {user} runbooks restart-worker --env-target {worker.env_target} "
                    f"--root {shlex.quote(str(worker.process.cwd))}",
                )
            )
        kept = stop.kept
        if kept is None or (kept.by is Keeper.TERMINAL and take_over):
            continue
        do = kept.do
        if kept.by is Keeper.TERMINAL:
            do += " Or let it be stopped there and started in the background: --take-over"
        found.append(KeptByAnotherError(f"Worker pid {worker.pid}: {kept.what}", do))
    return found


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
