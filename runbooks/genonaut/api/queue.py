"""The way from the API to the workers: is one there, here is a job, forget that job."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from kombu.pidbox import Mailbox

from runbooks.genonaut.worker import GENERATION_QUEUE, RUN_JOB

logger = logging.getLogger(__name__)

PING_TIMEOUT = 1.0
"""Seconds to wait for a worker's answer. A shorter wait misses healthy ones: kombu may still sit in a 1 s BRPOP."""

_TRANSPORT_OPTIONS = {
    # Give up at once when the broker is down: the caller is an HTTP request, not a worker that can wait.
    "max_retries": 0,
    "socket_connect_timeout": 1.0,
    # A broker that is stopped takes connections and never answers. Longer than the BRPOP, which is not a hang.
    "socket_timeout": 2.0,
}


class QueueDownError(Exception):
    """The broker cannot be reached, so nothing is known of workers and nothing can be queued."""


class JobQueue(Protocol):
    """What the API needs of the queue."""

    def worker_answers(self) -> bool:
        """Whether some worker answers now. False when the broker is down."""

    def put(self, job_id: int, task_id: str) -> None:
        """Queue a job under this task id.

        Raises:
            QueueDownError: it was not queued.
        """

    def revoke(self, task_id: str) -> None:
        """Have the workers drop the task and its retries. An attempt that runs notices by itself that its job is off.

        Raises:
            QueueDownError: nobody was told.
        """


class CeleryQueue:
    """The queue of a Celery application.

    Every call takes a fresh connection: a pooled one from before a restart of the broker fails on its first use. Any
    worker that listens on this broker counts, whatever its `ENV_TARGET` and queues are, as in the real API: the broker
    is what keeps two installations apart.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        # The application's own mailbox publishes through pooled connections.
        self._mailbox: Any = Mailbox(  # type: ignore[no-untyped-call]
            app.conf.control_exchange, type="fanout", accept=["json"], serializer="json"
        )

    def worker_answers(self) -> bool:
        """As ``JobQueue``: one broadcast, and the first answer is enough."""
        try:
            with self._connection() as connection:
                return bool(self._mailbox(connection).multi_call("ping", timeout=PING_TIMEOUT, limit=1))
        except QueueDownError as error:
            logger.warning("The broker does not answer: %s", error)
            return False

    def put(self, job_id: int, task_id: str) -> None:
        """As ``JobQueue``."""
        with self._connection() as connection:
            self._app.send_task(
                RUN_JOB, (job_id,), task_id=task_id, queue=GENERATION_QUEUE, connection=connection, retry=False
            )

    def revoke(self, task_id: str) -> None:
        """As ``JobQueue``."""
        arguments: dict[str, Any] = {"task_id": [task_id], "terminate": False, "signal": None}
        with self._connection() as connection:
            self._mailbox(connection).abcast("revoke", arguments)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self._app.connection_for_write(transport_options=_TRANSPORT_OPTIONS) as connection:
            try:
                yield connection
            except (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors) as error:
                raise QueueDownError(str(error)) from error
