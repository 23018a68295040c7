"""Restart a worker: plan, ask, stop, start, wait for its answer, prove."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from runbooks.errors import UserError
from runbooks.settings import read_layers
from runbooks.workers.command import DEFAULT_APP
from runbooks.workers.handover import hand_over
from runbooks.workers.model import Restarted, RestartPlan, Start
from runbooks.workers.outcome import Interrupted, StartFailedError, StillRunningError
from runbooks.workers.plan import plan_restart, refresh
from runbooks.workers.progress import Listener, Progress, silent
from runbooks.workers.prove import Check, JobProof, prove
from runbooks.workers.start import start_worker, wait_until_it_answers
from runbooks.workers.stop import stop_workers


def restart_worker(
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
    timeout: float = 120.0,
    start_timeout: float = 60.0,
    prove_job: JobProof | None = None,
    listen: Listener = silent,
) -> Restarted:
    """Restart exactly one worker, so that it holds what the files say now, and lose no job.

    Its main process gets SIGTERM once; the running job completes. It is started again with the same command line in the
    same folder, in the background, with its old environment but for what the files set, which is read anew. Nobody is
    asked: calling this is the consent. Nothing harder than SIGTERM is ever sent.

    Args:
        env_target: such as ``local-demo``.
        root: the folder with ``config/`` and ``env/``; by default ``GENONAUT_ROOT`` or the working directory.
        app: the Celery application as given to ``-A``.
        broker: only workers on this broker are meant.
        pid: main process of the one worker meant, where several run.
        every: all of several workers are meant; doubles become one.
        keep: variables that survive from the old environment though a file sets them.
        take_over: stop a worker that runs in a terminal, and start it in the background.
        handover: have an interim worker, proven to hold the new values, take the jobs before the old one stops taking
            them, so that no queue waits. Two workers run for some seconds.
        timeout: seconds that the old worker has for its running job.
        start_timeout: seconds that the new worker has to answer.
        prove_job: creates a new job, waits for it and says how it ended.
        listen: told how far it is.

    Returns:
        What was done; ``proven`` says whether the new worker holds the new values.

    Raises:
        NoWorkerError: none runs.
        SeveralWorkersError: an orphan or a double runs beside it, and neither ``pid`` nor ``every`` chose.
        KeptByAnotherError: a supervisor, a container or a terminal keeps it.
        OtherUserError: it runs as another user.
        CannotStartError: it could not be started again, so it was left alone.
        StillRunningError: it has not stopped in time.
        StartFailedError: the new one died, or does not answer.
        CannotHandOverError: a handover is not possible with this worker; it was left alone.
        HandoverFailedError: a handover ended early; says which worker takes the jobs.
        Interrupted: Ctrl-C; says in which state things are.
        UserError: unknown target, files that cannot be read, or a handover without Celery or of several workers.
    """
    plan = plan_restart(
        env_target,
        root,
        app=app,
        broker=broker,
        pid=pid,
        every=every,
        keep=keep,
        take_over=take_over,
        handover=handover,
    )
    return carry_out(plan, timeout=timeout, start_timeout=start_timeout, prove_job=prove_job, listen=listen)


def carry_out(
    plan: RestartPlan,
    *,
    timeout: float = 120.0,
    start_timeout: float = 60.0,
    prove_job: JobProof | None = None,
    listen: Listener = silent,
) -> Restarted:
    """Do what a plan says, with a handover if it says so. Arguments and errors as for ``restart_worker``."""
    if plan.in_the_way:
        raise plan.in_the_way[0]
    # Broken files must be noticed while the old worker still runs.
    read_layers(plan.root, plan.env_target, {})
    if plan.handover is not None:
        return hand_over(plan, plan.handover, timeout, start_timeout, prove_job, listen)
    course = _Course(plan, listen)
    try:
        seconds = course.stop(timeout)
        for start in plan.starts:
            course.start(start, start_timeout)
        course.prove_job(prove_job)
    except KeyboardInterrupt as error:
        raise Interrupted(course.state) from error
    old_pids = tuple(stop.worker.pid for stop in plan.stops)
    return Restarted(plan, old_pids, tuple(course.new_pids), plan.starts[0].log, seconds, tuple(course.checks))


@dataclass
class _Course:
    """A restart on its way. ``state`` says how far it is, for whoever interrupts it."""

    plan: RestartPlan
    listen: Listener
    state: str = "Nothing was touched."
    new_pids: list[int] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def stop(self, timeout: float) -> float:
        pids = ", ".join(str(stop.worker.pid) for stop in self.plan.stops)
        self.state = (
            f"Worker pid {pids} has been told to stop and leaves when its running job is done; no new worker has been "
            "started. Run the same command again to go on waiting; once it is gone, start one anew."
        )
        try:
            seconds = stop_workers(self.plan.stops, timeout, self.listen)
        except StillRunningError as error:
            raise StillRunningError(f"{error.what} No new worker has been started.", error.do) from error
        self.state = f"Worker pid {pids} is gone; a new one may not have been started. Look with --dry-run."
        return seconds

    def start(self, planned: Start, timeout: float) -> None:
        start = self._with_the_files_of_now(planned)
        try:
            new, part = start_worker(start)
            self.state = (
                f"The old worker is gone; the new one (pid {new.pid}) runs, not proven yet. Its log: {part.file}"
            )
            self.listen(Progress("start", 0.0, f"pid {new.pid} has been started", done=True))
            wait_until_it_answers(start, new, part, timeout, self.listen)
        except StartFailedError as error:
            raise StartFailedError(
                f"The old worker is gone. {error.what}", f"{error.do} Then: {start.by_hand}"
            ) from error
        self.new_pids.append(new.pid)
        self.checks += prove(new, read_layers(self.plan.root, self.plan.env_target, {}), part, self.plan.keep)

    def prove_job(self, proof: JobProof | None) -> None:
        if proof is not None:
            self.listen(Progress("prove", 0.0, "a new job to be completed"))
            self.checks.append(proof())

    def _with_the_files_of_now(self, planned: Start) -> Start:
        try:
            return refresh(planned, self.plan)
        except UserError as error:
            raise StartFailedError(
                f"The old worker is gone and no new one has been started: {error.what}",
                f"{error.do} Then: {planned.by_hand}",
            ) from error
