"""Move queues from one worker to another, over the broker. Needs Celery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runbooks.workers.ask import Reply, broadcast
from runbooks.workers.interim import PREFIX

# Every Celery application has this task; it only returns what it is given.
_PROBE = "celery.accumulate"

# Celery waits for one answer from a node name, unless it is told to wait for more.
_ALL_ANSWERS = 100


@dataclass(frozen=True)
class TaskQueue:
    """A queue that a worker takes jobs from, with what is needed to take jobs from it elsewhere.

    Attributes:
        name: of the queue.
        exchange: name of its exchange.
        exchange_type: ``direct``, ``topic`` and so on.
        routing_key: what binds it to its exchange.
    """

    name: str
    exchange: str
    exchange_type: str
    routing_key: str


def queues_of(broker: str, node: str, timeout: float = 0.5) -> list[tuple[TaskQueue, ...]]:
    """The queues that each worker of this node name takes jobs from. More than one answer means: a double.

    Queues that belong to one worker alone (broadcasts, a direct one, the one of an interim worker) are left out.
    Takes the whole of ``timeout`` seconds.
    """
    answers: list[tuple[TaskQueue, ...]] = []

    def look(reply: Reply) -> None:
        said = [queue for queue in reply.get(node) or [] if not _is_its_own(queue, node)]
        answers.append(tuple(_queue(queue) for queue in said))

    broadcast(broker, "active_queues", look, timeout, node, _ALL_ANSWERS)
    return answers


def take_queue(broker: str, node: str, queue: TaskQueue) -> bool:
    """Let a worker take jobs from a queue, too; whether it says that it will."""
    arguments = {
        "queue": queue.name,
        "exchange": queue.exchange,
        "exchange_type": queue.exchange_type,
        "routing_key": queue.routing_key,
    }
    return _told(broker, node, "add_consumer", arguments)


def leave_queue(broker: str, node: str, queue: TaskQueue) -> bool:
    """Let a worker take no more jobs from a queue; whether it says that it will."""
    return _told(broker, node, "cancel_consumer", {"queue": queue.name})


def send_probe(broker: str, queue: str) -> None:
    """Put a job that does nothing on a queue.

    Raises:
        Exception: the transport's own, when the broker cannot be reached.
    """
    from celery import Celery

    with Celery(broker=broker, set_as_current=False) as app:
        app.send_task(_PROBE, (1,), queue=queue, ignore_result=True, retry=False)


def jobs_begun(broker: str, node: str) -> int:
    """How many jobs a worker's pool has begun since its start; 0 when it does not answer."""
    answers: list[dict[str, int]] = []
    broadcast(broker, "stats", lambda reply: answers.append((reply.get(node) or {}).get("total") or {}), 1.0, node, 1)
    return sum(answers[0].values()) if answers else 0


def forget_queue(broker: str, name: str) -> None:
    """Delete a queue and what is in it. One that cannot be deleted stays, empty and unused."""
    from celery import Celery

    with Celery(broker=broker, set_as_current=False) as app:
        try:
            with app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=1.0)
                # As Celery makes a queue that is not configured. Declared first: a connection deletes what it knows.
                queue = app.amqp.queues[name](connection.default_channel)
                queue.declare()
                queue.delete()
        except Exception:
            # Each transport raises its own library's errors, and nobody should be bothered with an empty queue.
            return


def _told(broker: str, node: str, command: str, arguments: dict[str, Any]) -> bool:
    answers: list[Any] = []
    broadcast(broker, command, lambda reply: answers.append(reply.get(node) or {}), 1.0, node, 1, arguments)
    return any("ok" in answer for answer in answers)


def _is_its_own(queue: dict[str, Any], node: str) -> bool:
    name = str(queue.get("name"))
    return name.startswith(PREFIX) or name == f"{node}.dq2" or _exchange(queue).get("type") == "fanout"


def _queue(queue: dict[str, Any]) -> TaskQueue:
    name, exchange = str(queue["name"]), _exchange(queue)
    return TaskQueue(
        name=name,
        exchange=str(exchange.get("name") or name),
        exchange_type=str(exchange.get("type") or "direct"),
        routing_key=str(queue.get("routing_key") or name),
    )


def _exchange(queue: dict[str, Any]) -> dict[str, Any]:
    return queue.get("exchange") or {}
