"""How many jobs wait, and since when the broker runs: what the broker itself can tell."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from runbooks.drift.health import PATIENCE
from runbooks.drift.reports import redis_client

PRIORITIES = ("", *(f"\x06\x16{number}" for number in range(1, 10)))
"""What stands behind a queue's name where kombu keeps its jobs of a higher priority."""
RARELY = 5.0
"""Seconds between two questions for when the broker was started."""


@dataclass(frozen=True)
class Waiting:
    """What waits on the broker.

    Attributes:
        queued: jobs that no worker has taken, by queue. A queue that is not of this broker is left out.
        reserved: jobs that a worker has taken and not begun: the next ones, and those that it will try again.
        since: when the broker was started, by its own clock.
    """

    queued: Mapping[str, int]
    reserved: int
    since: datetime | None


class Broker:
    """Asks the broker. Keeps its connection; safe to use from several threads."""

    def __init__(self, redis_url: str) -> None:
        """Nothing is connected yet.

        Raises:
            ReportsUnavailableError: the broker is no Redis server.
        """
        self._client = redis_client(redis_url, PATIENCE)
        self._started: tuple[str, datetime] | None = None
        self._asked = float("-inf")

    def look(self, now: datetime, queues: Collection[str]) -> Waiting | None:
        """What waits now; None when the broker does not answer.

        Args:
            now: time by the broker's clock.
            queues: whose jobs are counted.
        """
        from redis import RedisError

        try:
            with self._client.pipeline(transaction=False) as pipe:
                for queue in queues:
                    # Where kombu keeps who is bound to the exchange of that name. Jobs of a worker whose broker is
                    # another one, such as RabbitMQ, have none here; no jobs here are then not none at all.
                    pipe.exists(f"_kombu.binding.{queue}")
                    for priority in PRIORITIES:
                        pipe.llen(f"{queue}{priority}")
                # Where kombu keeps what was taken and is not acknowledged yet.
                pipe.hlen("unacked")
                ask = time.monotonic() - self._asked > RARELY
                if ask:
                    pipe.info("server")
                told = pipe.execute(raise_on_error=False)
        except (RedisError, OSError):
            return None
        if ask:
            self._asked, self._started = time.monotonic(), self._since(told.pop(), now)
        *told, reserved = [number if isinstance(number, int) else 0 for number in told]
        parts = iter(told)
        counted = {queue: (next(parts), sum(next(parts) for _ in PRIORITIES)) for queue in queues}
        queued = {queue: waiting for queue, (bound, waiting) in counted.items() if bound or waiting}
        return Waiting(queued, reserved, self._started[1] if self._started else None)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _since(self, server: object, now: datetime) -> tuple[str, datetime] | None:
        """Which run of the broker this is, and when it began."""
        # A user of the broker may be forbidden to ask for this.
        if not isinstance(server, dict) or "uptime_in_seconds" not in server:
            return None
        run = str(server.get("run_id"))
        # It counts whole seconds; told anew each time, the start would waver.
        if self._started is not None and self._started[0] == run:
            return self._started
        return run, now - timedelta(seconds=int(server["uptime_in_seconds"]))
