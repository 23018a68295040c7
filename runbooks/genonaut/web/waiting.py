"""How many jobs wait, and since when the broker runs: what the broker itself can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from runbooks.drift.health import PATIENCE
from runbooks.drift.reports import redis_client
from runbooks.genonaut.worker import GENERATION_QUEUE

QUEUES = (GENERATION_QUEUE, "default")


@dataclass(frozen=True)
class Waiting:
    """What waits on the broker.

    Attributes:
        queued: jobs that no worker has taken.
        reserved: jobs that a worker has taken and not begun: the next ones, and those that it will try again.
        since: when the broker was started, by its own clock.
    """

    queued: int
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

    def look(self, now: datetime) -> Waiting | None:
        """What waits now; None when the broker does not answer.

        Args:
            now: time by the broker's clock.
        """
        from redis import RedisError

        try:
            with self._client.pipeline(transaction=False) as pipe:
                for queue in QUEUES:
                    pipe.llen(queue)
                # Where kombu keeps what was taken and is not acknowledged yet.
                pipe.hlen("unacked")
                pipe.info("server")
                *queued, reserved, server = pipe.execute(raise_on_error=False)
        except (RedisError, OSError):
            return None
        numbers = [number if isinstance(number, int) else 0 for number in (*queued, reserved)]
        return Waiting(sum(numbers[:-1]), numbers[-1], self._since(server, now))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _since(self, server: object, now: datetime) -> datetime | None:
        # A user of the broker may be forbidden to ask for this.
        if not isinstance(server, dict) or "uptime_in_seconds" not in server:
            return None
        run = str(server.get("run_id"))
        # It counts whole seconds; told anew each time, the start would waver.
        if self._started is None or self._started[0] != run:
            self._started = (run, now - timedelta(seconds=int(server["uptime_in_seconds"])))
        return self._started[1]
