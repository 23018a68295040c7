"""What a restart is made of: what is stopped, what is started, and what is in the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbooks.drift import Agreement, Holding, redact_text
from runbooks.workers.ask import Answer
from runbooks.workers.environment import Rebuilt
from runbooks.workers.find import NearMiss, Worker
from runbooks.workers.outcome import RestartError
from runbooks.workers.prove import Check
from runbooks.workers.queues import TaskQueue
from runbooks.workers.supervisor import Kept


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
        by_hand: the command with which a person starts it.
        replaces: main process that still runs and whose place it takes; None when that one has left before.
    """

    argv: tuple[str, ...]
    cwd: Path
    environment: Rebuilt
    output: Path
    log: Path
    broker: str | None
    by_hand: str
    replaces: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "argv": [redact_text(word) for word in self.argv],
            "cwd": str(self.cwd),
            "changes": [change.as_json() for change in self.environment.changes],
            "output": str(self.output),
        }


@dataclass(frozen=True)
class Handover:
    """How the jobs get from the old worker to the new one without a pause: by way of an interim worker.

    Attributes:
        node: node name of the old worker.
        queues: what it takes jobs from.
        name: node name (before the @) of the interim worker, and the queue on which it waits.
        output: file that its output is appended to.
    """

    node: str
    queues: tuple[TaskQueue, ...]
    name: str
    output: Path

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "node": self.node,
            "queues": [queue.name for queue in self.queues],
            "interim": self.name,
            "interim_output": str(self.output),
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
        handover: how the jobs are handed over; None for a plain restart, and where something is in the way.
    """

    root: Path
    env_target: str
    stops: tuple[Stop, ...]
    starts: tuple[Start, ...]
    near_misses: tuple[NearMiss, ...]
    in_the_way: tuple[RestartError, ...]
    keep: tuple[str, ...] = ()
    handover: Handover | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "root": str(self.root),
            "env_target": self.env_target,
            "stop": [stop.as_json() for stop in self.stops],
            "start": [start.as_json() for start in self.starts],
            "left_alone": [{"pid": miss.worker.pid, "why": miss.why} for miss in self.near_misses],
            "in_the_way": [{"kind": it.kind, "what": it.what, "do": it.do} for it in self.in_the_way],
            "handover": self.handover.as_json() if self.handover else None,
        }


@dataclass(frozen=True)
class HandedOver:
    """What a handover did besides.

    Attributes:
        pid: main process of the interim worker.
        seconds: from its start until the old worker took no more jobs.
    """

    pid: int
    seconds: float


@dataclass(frozen=True)
class Restarted:
    """What a restart did.

    Attributes:
        plan: what it had set out to do.
        old_pids: main processes that were stopped.
        new_pids: main processes that were started.
        log: the new worker's log.
        stop_seconds: how long the old ones took to leave.
        checks: what was looked at afterwards.
        handed_over: what a handover did besides; None after a plain restart.
    """

    plan: RestartPlan
    old_pids: tuple[int, ...]
    new_pids: tuple[int, ...]
    log: Path
    stop_seconds: float
    checks: tuple[Check, ...]
    handed_over: HandedOver | None = None

    @property
    def proven(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        handed = self.handed_over
        return {
            "old_pids": list(self.old_pids),
            "new_pids": list(self.new_pids),
            "log": str(self.log),
            "stop_seconds": round(self.stop_seconds, 2),
            "proven": self.proven,
            "checks": [check.as_json() for check in self.checks],
            "handed_over": {"interim_pid": handed.pid, "seconds": round(handed.seconds, 2)} if handed else None,
        }
