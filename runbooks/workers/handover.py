"""Hand the jobs over without a pause: by way of an interim worker, which the old and the new one never notice.

The interim worker starts beside the old one, on a queue on which nothing waits, so that it can be proven before it gets
a single job. Then it takes the old one's queues, the old one leaves, the worker starts again with its own command line
and node name, and the interim one leaves. It is not kept for good: the queues that it was told to take are not on its
command line, so that a SIGHUP, or a broker that goes away, would make it forget them.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from runbooks.drift import ProcessView, is_alive, look_for
from runbooks.drift.processes import GONE
from runbooks.errors import UserError
from runbooks.settings import read_layers
from runbooks.workers.ask import ask_worker, node_of
from runbooks.workers.interim import interim_argv
from runbooks.workers.log import LogPart, where_it_logs
from runbooks.workers.model import HandedOver, Handover, Restarted, RestartPlan
from runbooks.workers.outcome import HandoverFailedError, Interrupted, StillRunningError
from runbooks.workers.plan import refresh
from runbooks.workers.progress import Listener, Progress
from runbooks.workers.prove import Check, JobProof, prove
from runbooks.workers.queues import forget_queue, jobs_begun, leave_queue, send_probe, take_queue
from runbooks.workers.start import start_worker, wait_until_it_answers
from runbooks.workers.stop import tell, wait_until_gone, waits_for

_LOOK_EVERY = 0.02
# A worker reads from Redis for up to a second. What it is given after it has left its queues goes back to them, unless
# it has had SIGTERM: then it keeps that until its running job is done.
_LAST_READ = 1.1
# SIGTERM while Celery passes a job to a child may have it run and given back, that is run twice. So nothing may be on
# its way: either nothing is reserved, or all children have been at the same jobs for a while.
_UNMOVED = 0.3
_SETTLED_AFTER = 20.0
_AGAIN = "Once it is gone, run the same command again: the interim worker then gives way to one with the usual command."


def hand_over(
    plan: RestartPlan,
    handover: Handover,
    timeout: float,
    start_timeout: float,
    prove_job: JobProof | None,
    listen: Listener,
) -> Restarted:
    """Do what a plan with a handover says. Arguments and errors as for ``restart_worker``."""
    course = _Course(plan, handover, listen)
    try:
        course.start_interim(start_timeout)
        course.switch(start_timeout)
        seconds = course.wait_for_the_old(timeout)
        course.start_new(start_timeout)
        course.release_interim(timeout)
        if prove_job is not None:
            listen(Progress("prove", 0.0, "a new job to be completed"))
            course.checks.append(prove_job())
    except KeyboardInterrupt as error:
        # In what a second Ctrl-C cuts short, the signal comes first.
        with suppress(KeyboardInterrupt):
            course.undo()
        raise Interrupted(course.state) from error
    except UserError as error:
        course.undo()
        raise HandoverFailedError(f"{error.what} {course.state}", error.do) from error
    old_pids = tuple(stop.worker.pid for stop in plan.stops)
    handed = HandedOver(course.interim_pid, course.switched_after)
    return Restarted(plan, old_pids, course.new_pids, plan.starts[0].log, seconds, tuple(course.checks), handed)


@dataclass
class _Course:
    """A handover on its way.

    Attributes:
        state: what holds once ``undo`` is done, for whoever reads why it ended.
        undo: stops the worker that has not been proven yet.
    """

    plan: RestartPlan
    handover: Handover
    listen: Listener
    state: str = "Nothing was touched."
    undo: Callable[[], None] = lambda: None
    interim: ProcessView | None = None
    node: str = ""
    began: float = field(default_factory=time.monotonic)
    switched_after: float = 0.0
    new_pids: tuple[int, ...] = ()
    checks: list[Check] = field(default_factory=list)

    @property
    def old_pid(self) -> int:
        return self.plan.stops[0].worker.pid

    @property
    def interim_pid(self) -> int:
        return self.interim.pid if self.interim else 0

    @property
    def broker(self) -> str:
        return self.plan.stops[0].worker.broker or ""

    def start_interim(self, timeout: float) -> None:
        start = refresh(self.plan.starts[0], self.plan)
        self.state = (
            f"The old worker (pid {self.old_pid}) was not touched and keeps working. The interim one never had a job; "
            "if it still ran, it has been told to stop."
        )
        self.undo = self._stop_interim
        argv = interim_argv(start.argv, self.handover.name)
        start = replace(start, argv=argv, output=self.handover.output, replaces=self.old_pid)
        start = replace(start, log=where_it_logs(self.plan.stops[0].worker, start.output))
        self.interim, part = start_worker(start)
        self.listen(Progress("start", 0.0, f"interim worker pid {self.interim.pid} has been started", done=True))
        wait_until_it_answers(start, self.interim, part, timeout, self.listen)
        self.node = node_of(self.broker, self.interim.pid) or ""
        if not self.node:
            raise UserError(f"The interim worker (pid {self.interim.pid}) cannot be asked.", f"Its log: {part.file}")
        self._prove(self.interim, part)
        self._probe(1, timeout, Progress("prove", 0.0, f"pid {self.interim.pid} to run a probe job"))

    def switch(self, timeout: float) -> None:
        self.state = (
            f"The old worker (pid {self.old_pid}) was not touched and keeps working; the interim one has been told to "
            "stop: it completes a job that it has begun and gives back the others."
        )
        for queue in self.handover.queues:
            if not take_queue(self.broker, self.node, queue):
                raise UserError(f"The interim worker does not take the queue {queue.name}.", "Is the broker up?")
        # Its wait for the parked queue alone may go on for a second; with a job there it looks at all its queues.
        self._probe(2, timeout, Progress("switch", 0.0, f"pid {self.interim_pid} to take the queues"))
        self.undo = lambda: None
        self.state = (
            f"The interim worker (pid {self.interim_pid}) takes the jobs, on the new settings. The old one (pid "
            f"{self.old_pid}) takes none, and leaves when its running job is done."
        )
        # From the first of these on there is no way back, whatever happens between them.
        try:
            for queue in self.handover.queues:
                leave_queue(self.broker, self.handover.node, queue)
            begins_no_more = self._settle()
            self._tell_of_the_switch()
            if begins_no_more:
                self._let_the_old_read_end()
        finally:
            tell(self.plan.stops[0])

    def _tell_of_the_switch(self) -> None:
        self.switched_after = time.monotonic() - self.began
        names = ", ".join(queue.name for queue in self.handover.queues)
        says = f"pid {self.interim_pid} has taken the queues from pid {self.old_pid}: {names}"
        self.listen(Progress("switch", self.switched_after, says, done=True))

    def wait_for_the_old(self, timeout: float) -> float:
        try:
            return wait_until_gone(self.plan.stops, timeout, self.listen)
        except StillRunningError as error:
            what = f"Worker pid {self.old_pid} still runs {timeout:g} s after SIGTERM: {waits_for(self.plan.stops[0])}."
            raise UserError(what, f"Let it. {_AGAIN}") from error

    def start_new(self, timeout: float) -> None:
        self.state = (
            f"The old worker is gone. The interim one (pid {self.interim_pid}) takes the jobs, on the new settings. "
            "Run the same command again: it then gives way to one with the usual command line."
        )
        start = replace(refresh(self.plan.starts[0], self.plan), replaces=self.interim_pid)
        new, part = start_worker(start)
        self.undo = lambda: _tell(new)
        self.listen(Progress("start", 0.0, f"pid {new.pid} has been started", done=True))
        wait_until_it_answers(start, new, part, timeout, self.listen)
        self.checks = self._prove(new, part)
        self.new_pids = (new.pid,)

    def release_interim(self, timeout: float) -> None:
        self.undo = lambda: None
        self.state = (
            f"The new worker (pid {self.new_pids[0]}) takes the jobs and holds what the files say. The interim one "
            f"(pid {self.interim_pid}) leaves when its running job is done."
        )
        if self.interim is None:
            return
        try:
            for queue in self.handover.queues:
                leave_queue(self.broker, self.node, queue)
            self._let_the_interim_finish(self.interim, timeout)
        finally:
            _tell(self.interim)
        gone = self._wait_for_the_interim(self.interim, timeout)
        forget_queue(self.broker, self.handover.name)
        if not gone:
            says = f"pid {self.interim_pid} still completes a job; it takes no new ones and then leaves by itself"
            self.checks.append(Check("interim worker", False, says))

    def _prove(self, view: ProcessView, part: LogPart) -> list[Check]:
        checks = prove(view, read_layers(self.plan.root, self.plan.env_target, {}), part, self.plan.keep)
        failed = next((check for check in checks if not check.passed), None)
        if failed is not None:
            what = f"The worker that was started (pid {view.pid}) does not hold what the files say: {failed.says}."
            raise UserError(what, f"Its log: {part.file}")
        return checks

    def _probe(self, number: int, timeout: float, progress: Progress) -> None:
        """Have the interim worker's pool run a job that does nothing, from its own queue.

        Once it has real jobs, one of those is proof as good.
        """
        try:
            send_probe(self.broker, self.handover.name)
        except Exception as error:
            # Each transport raises its own library's errors; their text may hold the broker's password.
            raise UserError(
                f"The broker cannot be reached ({type(error).__name__}).", "Look at it, then again."
            ) from error
        self.listen(progress)
        began = time.monotonic()
        while jobs_begun(self.broker, self.node) < number:
            seconds = time.monotonic() - began
            if seconds > timeout or self.interim is None or not is_alive(self.interim.handle):
                what = f"The interim worker (pid {self.interim_pid}) did not begin a probe job in {seconds:.1f} s."
                raise UserError(what, f"Its log: {self.handover.output}")
            self.listen(replace(progress, seconds=seconds))
            time.sleep(_LOOK_EVERY)

    def _stop_interim(self) -> None:
        """SIGTERM to the interim worker, also where Ctrl-C came before its pid was known."""
        views = list(look_for(lambda argv: argv[-1] == f"--queues={self.handover.name}"))
        for view in views:
            if view.ppid not in {other.pid for other in views}:
                _tell(view)
        forget_queue(self.broker, self.handover.name)

    def _settle(self) -> bool:
        """Wait until no job is on its way to a child of the old worker; whether it has no reserved ones either.

        Reserved jobs behind long ones are better given back by SIGTERM than begun; behind short ones they are begun.
        """
        worker = self.plan.stops[0].worker
        unmoved: tuple[str, ...] = ()
        began = since = time.monotonic()
        while (now := time.monotonic()) - began < _SETTLED_AFTER:
            children = _children(worker.process)
            answer = ask_worker(self.broker, worker.pid, children)
            if answer is None or answer.reserved is None:
                return False
            if answer.reserved == 0:
                return True
            running = tuple(sorted(job.id for job in answer.running))
            if running != unmoved or len(running) < len(children):
                unmoved, since = running, now
            elif now - since > _UNMOVED:
                return False
            self.listen(Progress("switch", now - began, f"pid {worker.pid} to begin no more of what it has reserved"))
            time.sleep(_LOOK_EVERY)
        return False

    def _let_the_old_read_end(self) -> None:
        began = time.monotonic()
        while (seconds := time.monotonic() - began) < _LAST_READ:
            self.listen(Progress("stop", seconds, f"pid {self.old_pid} to end its last read"))
            time.sleep(_LOOK_EVERY)

    def _let_the_interim_finish(self, interim: ProcessView, timeout: float) -> None:
        """It holds the new values, so it may as well do what it has reserved, before anybody has to wait for it."""
        began = time.monotonic()
        while (seconds := time.monotonic() - began) < timeout:
            answer = ask_worker(self.broker, interim.pid, _children(interim))
            if seconds > _LAST_READ and (answer is None or not (answer.running or answer.reserved)):
                return
            self.listen(Progress("stop", seconds, f"interim worker pid {interim.pid} to complete its jobs"))
            time.sleep(_LOOK_EVERY)

    def _wait_for_the_interim(self, interim: ProcessView, timeout: float) -> bool:
        began = time.monotonic()
        while is_alive(interim.handle):
            seconds = time.monotonic() - began
            if seconds > timeout:
                return False
            self.listen(Progress("stop", seconds, f"interim worker pid {interim.pid} to leave"))
            time.sleep(_LOOK_EVERY)
        return True


def _children(view: ProcessView) -> list[int]:
    try:
        return [child.pid for child in view.handle.children()]
    except GONE:
        return []


def _tell(view: ProcessView) -> None:
    with suppress(*GONE):
        view.handle.send_signal(signal.SIGTERM)
