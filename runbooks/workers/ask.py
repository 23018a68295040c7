"""Ask a worker over the broker: which pid answers, and what it runs. Needs Celery; without it the answer is unknown.

Every question has a connection of its own: one from a pool may still sit in a previous question's blocking read, so
that short timeouts lie, and one from before a broker restart raises.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Reply = dict[str, Any]

# Where several may answer, nobody knows when all have: one that is well does so in a hundredth of a second.
_ALL_ANSWERED_AFTER = 0.3


@dataclass(frozen=True)
class RunningJob:
    """A job that a pool child works on.

    Attributes:
        id: Celery's task id.
        name: name of the task.
        child: pid of the pool child that runs it (of the main process in a solo or thread pool).
        since: when it was started; None when the worker does not say.
    """

    id: str
    name: str
    child: int | None
    since: datetime | None

    def __str__(self) -> str:
        return f"{self.name}[{self.id}]"

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "id": self.id,
            "name": self.name,
            "child": self.child,
            "since": self.since.isoformat() if self.since else None,
        }


@dataclass(frozen=True)
class Answer:
    """What a worker said.

    Attributes:
        node: its node name, such as ``celery@host``.
        running: jobs that its children work on.
        reserved: how many jobs it has taken from the queue and not begun; None when another worker of the same node
            name answers, too, so that nobody can tell whose they are.
    """

    node: str
    running: tuple[RunningJob, ...]
    reserved: int | None


class _Enough(Exception):  # noqa: N818 - ends a loop, is no error
    """Stops collecting replies."""


def node_of(broker: str, pid: int, children: Collection[int] = (), timeout: float = 1.0) -> str | None:
    """Node name of the worker whose main process is ``pid``, as it answers on ``broker``; None if it does not answer.

    Args:
        broker: URL of the broker.
        pid: main process.
        children: its pool children; tell it from a worker of the same pid on another machine.
        timeout: seconds to wait for it.
    """
    found: list[str] = []

    def look(reply: Reply) -> None:
        for node, said in reply.items():
            pool = (said.get("pool") or {}).get("processes") or []
            if said.get("pid") == pid and (not children or not pool or set(pool) & set(children)):
                found.append(node)
                raise _Enough

    broadcast(broker, "stats", look, timeout)
    return found[0] if found else None


def ask_worker(
    broker: str, pid: int, children: Collection[int], *, sharing: int = 1, timeout: float = 1.0
) -> Answer | None:
    """What a worker runs and has reserved; None when that cannot be known: no Celery here, no broker, no answer.

    Args:
        broker: URL of the broker.
        pid: main process.
        children: pids of its pool children.
        sharing: how many workers may answer to its node name, itself included. Celery takes one for granted.
        timeout: seconds to wait for each answer; less where several may come.
    """
    node = node_of(broker, pid, children, timeout)
    if node is None:
        return None
    wait = timeout if sharing == 1 else min(timeout, _ALL_ANSWERED_AFTER)
    running: list[list[Reply]] = []
    reserved: list[list[Reply]] = []
    broadcast(broker, "active", lambda reply: running.append(reply.get(node, [])), wait, node, sharing)
    broadcast(broker, "reserved", lambda reply: reserved.append(reply.get(node, [])), wait, node, sharing)
    jobs = [_job(said) for answer in running for said in answer]
    return Answer(
        node=node,
        running=tuple(job for job in jobs if job.child in {pid, *children}),
        reserved=len(reserved[0]) if len(reserved) == 1 else None,
    )


def _job(said: Reply) -> RunningJob:
    started = said.get("time_start")
    return RunningJob(
        id=str(said.get("id")),
        name=str(said.get("name") or said.get("type")),
        child=said.get("worker_pid"),
        since=datetime.fromtimestamp(started, UTC) if isinstance(started, int | float) else None,
    )


def broadcast(
    broker: str,
    command: str,
    callback: Callable[[Reply], None],
    timeout: float,
    node: str | None = None,
    limit: int | None = None,
    arguments: dict[str, Any] | None = None,
) -> None:
    """Send a remote-control command over a connection of its own; no answer at all where it cannot be sent.

    Args:
        broker: URL of the broker.
        command: its name, such as ``stats``.
        callback: gets each reply, a dict with the node's name as its key.
        timeout: seconds to wait for replies.
        node: the worker that is meant; all with None.
        limit: how many replies are enough.
        arguments: what the command takes.
    """
    try:
        from celery import Celery
    except ImportError:
        return
    app = Celery(broker=broker, set_as_current=False)
    app.conf.broker_transport_options = {"socket_connect_timeout": timeout, "socket_timeout": timeout + 2}
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout)
            app.control.broadcast(
                command,
                arguments=arguments,
                reply=True,
                timeout=timeout,
                callback=callback,
                connection=connection,
                destination=[node] if node else None,
                limit=limit,
            )
    except _Enough:
        return
    except Exception:
        # Each transport raises its own library's errors, from a refused connection to a missing library: no answer.
        return
