"""Adopt reports in a Celery application: two lines, and every worker says what it runs with, pool children included.

    from runbooks.drift.celery import report_settings

    report_settings(app, get_settings, name="shop")

Does nothing in a process that is no worker. Pools: prefork, threads, solo.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps, signals

from runbooks.drift.adapters import Snapshot, Source, check_source, look
from runbooks.drift.atstart import WarnsOnce
from runbooks.drift.following import Follower, follow
from runbooks.drift.pulse import MainThread, Pulse
from runbooks.drift.report import Role
from runbooks.drift.reporter import EVERY, Identity, Reporter
from runbooks.drift.reports import redis_address
from runbooks.drift.startcheck import check_strictly
from runbooks.drift.strict import is_strict
from runbooks.errors import exit_on_user_error

_POOLS = {
    "celery.concurrency.prefork": "prefork",
    "celery.concurrency.thread": "threads",
    "celery.concurrency.solo": "solo",
}


def report_settings(
    app: Celery,
    source: Source,
    *,
    name: str | None = None,
    redis_url: str | None = None,
    version: str | None = None,
    every: float = EVERY,
    warn: bool = True,
    switches: bool = True,
    files: Iterable[str | Path] | None = None,
) -> None:
    """Have every worker of an application report the settings that it really uses.

    Args:
        app: the application.
        source: the function that tasks get their settings with (it is called every few seconds, from another thread;
            a cached one only after a task has called it), or the settings: a pydantic model, a dataclass, an object
            or a dict.
        name: under which the application reports; API and worker use the same. The application's own by default.
        redis_url: where reports are kept; by default the broker, or else the result store, whichever is Redis.
        version: of the application.
        every: seconds between two words of a process.
        warn: whether a worker logs, once it holds its settings, in what the processes disagree.
        switches: whether ``STRICT_CONFIG`` and ``CONFIG_RELOAD`` count; not where the application sees to them itself.
        files: what ``source`` reads, for ``CONFIG_RELOAD=on-change``; by default the env and secret files of its
            ``pydantic-settings``.

    Raises:
        UserError: the source is the class of pydantic settings.
    """
    check_source(source)
    worker = _Worker(
        app, source, redis_url, Identity(name or app.main or "celery", Role.MAIN, every, version), warn=warn
    )
    if switches:
        signals.celeryd_after_setup.connect(partial(worker.start, files), weak=False)
    # Only Celery's own command line has loaded this by now; its ``inspect`` sends no command that it does not know.
    if "celery.worker.control" in sys.modules:
        importlib.import_module("runbooks.drift.celery_command")


class _Worker:
    """One application's reports in the processes of a worker."""

    def __init__(self, app: Celery, source: Source, redis_url: str | None, identity: Identity, *, warn: bool) -> None:
        self._app, self._source, self._redis_url, self._identity, self._warn = app, source, redis_url, identity, warn
        self.reporter: Reporter | None = None
        self._pulse: Pulse | None = None
        self._follower: Follower | None = None
        self._main_pid = 0
        app.steps["consumer"].add(_step_of(self))
        signals.worker_init.connect(self._on_worker_init, weak=False)
        signals.worker_process_init.connect(self._on_child_init, weak=False)
        signals.worker_process_shutdown.connect(self._on_child_shutdown, weak=False)
        signals.worker_shutdown.connect(self._on_worker_shutdown, weak=False)

    def _on_worker_init(self, sender: Any, **_: Any) -> None:
        """In the main process, before it forks: what is known of the settings now, its children inherit."""
        if sender.app is not self._app:
            return
        from runbooks.drift.celery_command import REPORTERS

        REPORTERS[self._app] = lambda: self.reporter
        self._main_pid = os.getpid()
        self._identity = replace(self._identity, node=sender.hostname)
        self.reporter = Reporter(self._look, self._identity, self._address())
        self.reporter.observe()

    def start(self, files: Iterable[str | Path] | None, instance: Any, **_: Any) -> None:
        """Obey the switches, in the main process: its log is set up by then, and it has not forked."""
        if instance.app is not self._app:
            return
        with exit_on_user_error():
            self._follower = follow(self._source, files)
            if is_strict():
                check_strictly(self._source, self._identity.app, lambda _held: self._address())
        if self._follower is not None:
            signals.task_prerun.connect(self._on_task, weak=False)
            signals.task_postrun.connect(self._on_task_end, weak=False)

    def _on_task(self, task: Any, **_: Any) -> None:
        # One that is called inside of another belongs to that.
        if self._follower is not None and not task.request.is_eager:
            self._follower.begin()

    def _on_task_end(self, task: Any, **_: Any) -> None:
        if self._follower is not None and not task.request.is_eager:
            self._follower.end()

    def _look(self) -> Snapshot | None:
        return look(self._source) if self._follower is None else self._follower.snapshot()

    def _on_child_init(self, **_: Any) -> None:
        # A solo pool sends this signal, too, in the main process.
        if self.reporter is None or os.getpid() == self._main_pid:
            return
        child = replace(self._identity, role=Role.CHILD, pool="prefork")
        if self._follower is not None:
            self._follower.forked()
        self.reporter = Reporter(self._look, child, self._address(), self.reporter.seen)
        self._beat_where_the_work_is_done(self.reporter)

    def on_connected(self, consumer: Any) -> None:
        """The worker has its connection, for the first time or again."""
        if self.reporter is None:
            return
        self._update(consumer)
        if self.reporter.identity.pool == "prefork":
            # Main forks: it must not have a thread of ours, and it has an event loop of its own.
            consumer.timer.call_after(0, self._beat, (consumer,))
            consumer.timer.call_repeatedly(self._identity.every, self._beat, (consumer,))
        elif self._pulse is None:
            self._beat_where_the_work_is_done(self.reporter)

    def on_disconnected(self, consumer: Any) -> None:
        """It has lost its connection, or was told to stop and now waits for its running jobs."""
        if _is_leaving() and self.reporter is not None:
            self._beat(consumer)

    def _beat(self, consumer: Any) -> None:
        assert self.reporter is not None
        self._update(consumer)
        self.reporter.beat()

    def _update(self, consumer: Any) -> None:
        assert self.reporter is not None
        self.reporter.identity = replace(
            self.reporter.identity,
            pool=_POOLS.get(type(consumer.pool).__module__, "another"),
            queues=tuple(sorted(self._app.amqp.queues.consume_from)),
            children=_children(consumer.pool),
            leaving=_is_leaving(),
        )

    def _beat_where_the_work_is_done(self, reporter: Reporter) -> None:
        warn = self._warn and _speaks_for_its_worker()
        beat = WarnsOnce(reporter, self._address()) if warn else reporter.beat
        self._pulse = Pulse(beat, MainThread(), self._identity.every)
        self._pulse.start()

    def _on_child_shutdown(self, **_: Any) -> None:
        if os.getpid() != self._main_pid:
            self._leave()

    def _on_worker_shutdown(self, **_: Any) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._pulse is not None:
            self._pulse.stop()
        if self.reporter is not None:
            self.reporter.leave()

    def _address(self) -> str | None:
        conf = self._app.conf
        given = (self._redis_url, conf.broker_read_url, conf.broker_url, conf.result_backend)
        return next((url for url in map(redis_address, given) if url), None)


def _step_of(worker: _Worker) -> type[bootsteps.StartStopStep]:
    class SettingsReport(bootsteps.StartStopStep):  # type: ignore[misc]
        """Called at every connection: Celery clears its timers when one is lost."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Any) -> None:
            worker.on_connected(parent)

        def stop(self, parent: Any) -> None:
            worker.on_disconnected(parent)

    return SettingsReport


def _speaks_for_its_worker() -> bool:
    """Whether this is the only place of work of its worker, or the first one: not every child need say the same."""
    from billiard import current_process  # type: ignore[import-untyped]

    return getattr(current_process(), "index", 0) == 0


def _is_leaving() -> bool:
    from celery.worker.state import should_stop

    return should_stop is not None


def _children(pool: Any) -> tuple[int, ...]:
    # Pools differ, and one may just be changing.
    with suppress(Exception):
        return tuple(sorted(pool.info.get("processes") or ()))
    return ()
