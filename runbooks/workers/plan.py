"""Decide what a restart would do, before anything is touched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from runbooks.drift import compare
from runbooks.errors import UserError
from runbooks.settings import Layers, read_layers
from runbooks.workers.ask import ask_worker
from runbooks.workers.by_hand import how_to_start
from runbooks.workers.command import DEFAULT_APP
from runbooks.workers.environment import rebuild_environment
from runbooks.workers.find import Found, Worker, broker_of, find_workers, running_workers
from runbooks.workers.handover_plan import check_handover, with_handover
from runbooks.workers.interim import original_argv
from runbooks.workers.log import output_of, where_it_logs
from runbooks.workers.model import RestartPlan, Start, Stop
from runbooks.workers.obstacles import nothing_found, what_is_in_the_way
from runbooks.workers.supervisor import who_keeps


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
    handover: bool = False,
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
        handover: have the new worker take the jobs before the old one stops taking them.

    Raises:
        NoWorkerError: none runs.
        OtherUserError: only workers of other users run, and what they run with may not be read.
        UserError: unknown target, files that cannot be read, or a handover without Celery or of several workers.
    """
    if handover:
        check_handover(every=every)
    found = find_workers(env_target, root, app=app, broker=broker)
    layers = read_layers(found.root, env_target, {})
    if not found.workers:
        raise nothing_found(found, app)
    chosen = _chosen(found, pid, every)
    stops = tuple(_stop(worker, layers) for worker in chosen)
    starts = _starts(chosen, layers, keep)
    in_the_way = what_is_in_the_way(found, stops, starts, chosen=every or pid is not None, take_over=take_over)
    plan = RestartPlan(found.root, env_target, stops, starts, found.near_misses, in_the_way, tuple(keep))
    return with_handover(plan) if handover else plan


def refresh(start: Start, plan: RestartPlan) -> Start:
    """The same start with the environment that the files give now.

    Raises:
        UserError: the files have become unreadable.
    """
    layers = read_layers(plan.root, plan.env_target, {})
    old = next(stop.worker for stop in reversed(plan.stops) if original_argv(stop.worker.process.argv) == start.argv)
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


def _stop(worker: Worker, layers: Layers) -> Stop:
    process = worker.process
    children = [child.pid for child in worker.children]
    # Workers of any application share the default node name, when they share machine and broker.
    others = [other for other in running_workers(None, layers) if other.pid != worker.pid]
    sharing = 1 + sum(_may_share_name(worker, other) for other in others)
    answer = ask_worker(worker.broker, worker.pid, children, sharing=sharing) if worker.broker else None
    holdings = compare(process.environ or {}, process.started, layers)
    return Stop(worker, tuple(holdings), answer, who_keeps(process))


def _may_share_name(worker: Worker, other: Worker) -> bool:
    return worker.command.node == other.command.node and other.broker in (worker.broker, None)


def _starts(workers: Sequence[Worker], layers: Layers, keep: Collection[str]) -> tuple[Start, ...]:
    # The newest of workers with one command line is the pattern; they share a node name, so only one may run.
    newest = {original_argv(worker.process.argv): worker for worker in workers}
    return tuple(_start(worker, output_of(worker, layers.root), layers, keep) for worker in newest.values())


def _start(worker: Worker, output: Path, layers: Layers, keep: Collection[str]) -> Start:
    process = worker.process
    environment = rebuild_environment(process.environ or {}, layers, keep)
    return Start(
        argv=original_argv(process.argv),
        cwd=process.cwd or layers.root,
        environment=environment,
        output=output,
        log=where_it_logs(worker, output),
        broker=broker_of(environment.variables, layers),
        by_hand=how_to_start(layers.root, layers.env_target, worker.command.app),
    )
