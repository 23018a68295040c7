"""Where reports are kept: in Redis, each under a key that expires, and an index of them.

    runbooks:drift:salt              what fingerprints are made with
    runbooks:drift:APP:index         sorted set: which processes there are, and when each was last heard of
    runbooks:drift:APP:report:ID     when a process was last heard of (seconds), a blank, its report

The only clock is Redis' own (``TIME``), and nothing stays when nobody reports any more. One look takes two round trips,
whatever the number of processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from runbooks.drift.fingerprint import Salt
from runbooks.drift.report import Report, from_json, to_json
from runbooks.errors import UserError
from runbooks.redaction import redact_text

if TYPE_CHECKING:
    from redis import Redis

LIFE = 60.0
"""Seconds after its last word for which a process is remembered."""
PATIENCE = 0.5
"""Seconds that one answer of the broker is waited for."""

_PREFIX = "runbooks:drift"
_SALT_LIFE = 24 * 3600


class ReportsUnavailableError(UserError):
    """The broker that keeps the reports does not answer, is none, or its client is not installed."""


@dataclass(frozen=True)
class Reading:
    """All reports of one application at one moment.

    Attributes:
        reports: API processes, main processes, then pool children, each by age of the process.
        unreadable: names of entries that are no reports.
        now: time of reading, by the broker's clock.
        salt: what to make fingerprints with that can be compared; None when nobody reports.
    """

    reports: tuple[Report, ...]
    unreadable: tuple[str, ...]
    now: datetime
    salt: Salt | None


class Shelf:
    """The reports of one application on one broker. Keeps its connection; safe to use from several threads."""

    def __init__(self, redis_url: str, app: str, *, life: float = LIFE, patience: float = PATIENCE) -> None:
        """Nothing is connected yet.

        Args:
            redis_url: as ``redis_address`` takes it.
            app: name of the application. Others on the same broker are not seen.
            life: seconds after its last word for which a process is remembered.
            patience: seconds that one answer of the broker is waited for.

        Raises:
            ReportsUnavailableError: not the URL of a Redis server, or redis-py is not installed.
        """
        self._url, self._life, self._patience = redis_url, life, patience
        self._app = f"{_PREFIX}:{quote(app, safe='')}"
        self._client = redis_client(redis_url, patience)
        self._salt: Salt | None = None
        self._clock_ahead = 0.0

    def put(self, make: Callable[[Salt, datetime], Report]) -> None:
        """Keep a process's report for a while longer.

        Args:
            make: called with the salt and the time by the broker's clock. Called again if the salt has changed, as
                after a flush.

        Raises:
            redis.RedisError: the broker does not answer. Takes no longer than a few times ``patience``.
        """
        salt = self._salt or self._greet()
        for _ in range(2):
            report = make(salt, self._now())
            current = self._write(report)
            if current == salt.value:
                return
            salt = self._greet()

    def drop(self, report_id: str) -> None:
        """Forget a process.

        Raises:
            redis.RedisError: as ``put``.
        """
        with self._client.pipeline(transaction=False) as pipe:
            pipe.delete(self._key(report_id))
            pipe.zrem(f"{self._app}:index", report_id)
            pipe.execute()

    def read(self) -> Reading:
        """All reports, as they are now.

        Raises:
            ReportsUnavailableError: the broker does not answer.
        """
        from redis import RedisError

        try:
            with self._client.pipeline(transaction=False) as pipe:
                # Without scores: with them the client takes four times as long for a thousand.
                pipe.zrange(f"{self._app}:index", 0, -1)
                pipe.time()
                pipe.get(f"{_PREFIX}:salt")
                names, (seconds, micros), salt = pipe.execute()
            texts = self._client.mget([self._key(name) for name in names]) if names else []
        except (RedisError, OSError, ValueError) as error:
            raise ReportsUnavailableError(
                f"The broker {redact_text(self._url)} does not answer ({type(error).__name__}).",
                "Start it, or check REDIS_URL.",
            ) from error
        now = datetime.fromtimestamp(seconds + micros / 1e6, UTC)
        reports, unreadable = [], []
        for name, text in zip(names, texts, strict=True):
            if not isinstance(text, bytes):
                continue
            heard, _, form = text.partition(b" ")
            try:
                reports.append(_parsed(form).heard(datetime.fromtimestamp(float(heard), UTC), now))
            except (ValueError, OverflowError, OSError):
                unreadable.append(name.decode("utf-8", "backslashreplace"))
        reports.sort(key=lambda report: report.order)
        return Reading(tuple(reports), tuple(unreadable), now, Salt(salt) if salt else None)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _greet(self) -> Salt:
        """Learn the broker's salt and its time."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.set(f"{_PREFIX}:salt", Salt.random().value, nx=True, ex=_SALT_LIFE)
            pipe.get(f"{_PREFIX}:salt")
            pipe.time()
            _, value, moment = pipe.execute()
        self._set_clock(moment)
        self._salt = Salt(value)
        return self._salt

    def _write(self, report: Report) -> bytes | None:
        score = report.last_word.timestamp() if report.last_word else self._now().timestamp()
        index = f"{self._app}:index"
        with self._client.pipeline(transaction=False) as pipe:
            pipe.set(self._key(report.id), b"%.6f %b" % (score, to_json(report)), px=int(self._life * 1000))
            pipe.zadd(index, {report.id: score})
            pipe.zremrangebyscore(index, "-inf", score - 2 * self._life)
            pipe.expire(index, int(2 * self._life) + 1)
            pipe.expire(f"{_PREFIX}:salt", _SALT_LIFE)
            pipe.get(f"{_PREFIX}:salt")
            pipe.time()
            *_, salt, moment = pipe.execute()
        self._set_clock(moment)
        return bytes(salt) if salt else None

    def _set_clock(self, moment: tuple[int, int]) -> None:
        self._clock_ahead = moment[0] + moment[1] / 1e6 - time.monotonic()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(time.monotonic() + self._clock_ahead, UTC)

    def _key(self, report_id: str | bytes) -> bytes:
        # What others have put into the index need not be text.
        return f"{self._app}:report:".encode() + (report_id if isinstance(report_id, bytes) else report_id.encode())


def read_reports(redis_url: str, app: str) -> list[Report]:
    """What every process of an application says of itself, as it is now.

    Args:
        redis_url: of the broker, such as ``redis://localhost:6379/0``.
        app: name under which the application reports.

    Raises:
        ReportsUnavailableError: the broker does not answer, or is none that can keep reports.
    """
    shelf = Shelf(redis_url, app)
    try:
        return list(shelf.read().reports)
    finally:
        shelf.close()


def redis_address(url: str | None) -> str | None:
    """The URL of a Redis server as redis-py wants it, from one as Celery takes it; None for another kind of broker."""
    if not url:
        return None
    scheme, colon, rest = url.partition("://")
    if scheme == "redis+socket":
        path, _, query = rest.partition("?")
        options = [("db" if name == "virtual_host" else name, value) for name, value in parse_qsl(query)]
        return f"unix://{path}" + (f"?{urlencode(options)}" if options else "")
    if scheme not in ("redis", "rediss", "unix") or not colon:
        return None
    parts = urlsplit(url)
    options = [(name, value.removeprefix("CERT_").lower()) for name, value in parse_qsl(parts.query)]
    return urlunsplit(parts._replace(query=urlencode(options))) if "CERT_" in parts.query else url


# A report stays the same from word to word, and is read anew many times.
@lru_cache(maxsize=4096)
def _parsed(text: bytes) -> Report:
    return from_json(text)


def redis_client(redis_url: str, patience: float = PATIENCE) -> Redis:
    """A client that waits for no answer longer than ``patience`` seconds, and asks once more.

    Raises:
        ReportsUnavailableError: not the URL of a Redis server, or redis-py is not installed.
    """
    address = redis_address(redis_url)
    if address is None:
        raise ReportsUnavailableError(
            "Reports are kept in Redis, and the broker is another one.",
            "Name a Redis server with redis_url=, or ask with: celery -A APP inspect settings_report",
        )
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ReportsUnavailableError("Reports need redis-py.", "Install it: pip install redis") from error
    try:
        # One more attempt: a connection from before a restart of the broker fails on its first use.
        return Redis.from_url(
            address, socket_connect_timeout=patience, socket_timeout=patience, retry=Retry(NoBackoff(), 1)
        )
    except ValueError as error:
        raise ReportsUnavailableError(
            "The URL of the broker is not one.", "Write it like redis://localhost:6379/0"
        ) from error
