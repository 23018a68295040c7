"""One process's reports: looks at its settings, and says what it has found."""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from runbooks.drift.adapters import Held, Snapshot, Source, look
from runbooks.drift.fingerprint import Salt
from runbooks.drift.processes import look_at
from runbooks.drift.report import Report, Role, Setting
from runbooks.drift.reports import ReportsUnavailableError, Shelf
from runbooks.drift.showing import shown
from runbooks.drift.whoami import machine, name_of
from runbooks.redaction import MASK

logger = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two words of a process."""
_REST = 2.5
"""Beats for which a broker that has not answered is left alone."""
_CLOCK_JUMP = 1.0
"""Seconds by which clocks may drift apart before it counts."""


@dataclass(frozen=True)
class Identity:
    """Who a process is; see ``Report``."""

    app: str
    role: Role
    every: float = EVERY
    version: str | None = None
    node: str | None = None
    pool: str | None = None
    queues: tuple[str, ...] = ()
    children: tuple[int, ...] = ()
    leaving: bool = False


@dataclass(frozen=True)
class _Seen:
    """What the last look at the settings found, and since when (``time.time()``)."""

    snapshot: Snapshot | None = None
    since: float | None = None


class Reporter:
    """What a process says of itself. Never raises: reporting must not hurt the process that reports."""

    def __init__(self, source: Source, identity: Identity, redis_url: str | None, seen: _Seen | None = None) -> None:
        """Nothing is said yet.

        Args:
            source: where the settings are; see ``look``.
            identity: who this process is. May be replaced before any word.
            redis_url: of the broker; None when reports are not kept and only asked for.
            seen: what the process that this one was forked from had seen of its settings.
        """
        self.identity = identity
        self._source, self._redis_url = source, redis_url
        self._seen = seen or _Seen()
        self._problem: str | None = None
        self._pid, self._started = os.getpid(), _started()
        self._id = name_of(self._pid)
        self._ahead: float | None = None
        self._shelf: Shelf | None = None
        self._rest_until = 0.0
        self._failing = False

    @property
    def seen(self) -> _Seen:
        """What the last look has found, for the reporter of a forked process."""
        return self._seen

    def observe(self) -> None:
        """Look at the settings, and remember when they were other ones."""
        try:
            snapshot = look(self._source)
        except Exception as error:  # a getter is the application's, and may raise anything
            # Its text may quote a value.
            self._problem = f"its settings cannot be read ({type(error).__name__})"
            return
        self._problem = snapshot.problem if snapshot else None
        if snapshot is None or (self._seen.snapshot is not None and _is_same(self._seen.snapshot, snapshot)):
            return
        since = snapshot.since.timestamp() if snapshot.since else time.time()
        self._seen = _Seen(snapshot, since)

    def beat(self) -> bool:
        """Say what there is to say; whether it was heard."""
        if self._redis_url is None or time.monotonic() < self._rest_until:
            return False
        self.observe()
        try:
            if self._shelf is None:
                self._shelf = Shelf(self._redis_url, self.identity.app)
            self._shelf.put(self.report)
        except Exception as error:  # whatever is wrong with the broker, the work goes on
            self._fail(error)
            return False
        if self._failing:
            self._failing = False
            logger.info("The settings of this process are reported again.")
        return True

    def leave(self) -> None:
        """Say goodbye: the process ends, and is not to be missed."""
        if self._shelf is None or self._pid != os.getpid() or time.monotonic() < self._rest_until:
            return
        try:
            self._shelf.drop(self._id)
            self._shelf.close()
        except Exception as error:  # it will be forgotten anyway
            logger.debug("No goodbye: %s", type(error).__name__)
        self._shelf = None

    def report(self, salt: Salt, now: datetime) -> Report:
        """The report of this moment.

        Args:
            salt: what the fingerprints are made with.
            now: the time, by the broker's clock.
        """
        ahead = self._broker_ahead(now)
        seen, me = self._seen, self.identity
        held = seen.snapshot.held if seen.snapshot else ()
        return Report(
            id=self._id,
            app=me.app,
            role=me.role,
            host=socket.gethostname(),
            machine=machine(),
            pid=self._pid,
            parent=os.getppid(),
            started=_at(self._started + ahead),
            every=me.every,
            version=me.version,
            env_target=os.environ.get("ENV_TARGET"),
            node=me.node,
            pool=me.pool,
            queues=me.queues,
            children=me.children,
            leaving=me.leaving,
            loaded=_at(seen.since + ahead) if seen.since is not None else None,
            settings=tuple(setting_of(each, salt) for each in held),
            problem=self._problem,
            salt=salt.id,
            last_word=now,
        )

    def _broker_ahead(self, now: datetime) -> float:
        """Seconds that the broker's clock is ahead of this one; the same until a clock is set anew.

        So that a report does not change from word to word: its readers then need not read it again.
        """
        ahead = now.timestamp() - time.time()
        if self._ahead is None or abs(ahead - self._ahead) > _CLOCK_JUMP:
            self._ahead = ahead
        return self._ahead

    def _fail(self, error: Exception) -> None:
        self._rest_until = time.monotonic() + _REST * self.identity.every
        if not self._failing and self.identity.role is not Role.CHILD:
            what = error.what if isinstance(error, ReportsUnavailableError) else type(error).__name__
            logger.warning("The settings of this process are not reported for now: %s", what)
        self._failing = True


def setting_of(held: Held, salt: Salt) -> Setting:
    """A setting as it may be shown, with its fingerprint."""
    text = MASK if held.secret and held.value else shown(held.key, held.value, public=held.public)
    return Setting(held.key, text, held.origin, salt.fingerprint(held.value, secret=text != held.value))


def _is_same(before: Snapshot, now: Snapshot) -> bool:
    """Whether nothing was loaded in between. Where nobody says when it was, only a value can tell.

    An origin that is looked for anew moves with every line that is edited above it.
    """
    if now.since is not None:
        return before.held == now.held
    return [(held.key, held.value) for held in before.held] == [(held.key, held.value) for held in now.held]


def _started() -> float:
    view = look_at(os.getpid())
    return view.started.timestamp() if view else time.time()


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
