"""What a worker does when it starts: prepare the job store, check the configuration."""

from __future__ import annotations

import os
import time
from typing import Any

from celery.signals import celeryd_after_setup, worker_init, worker_process_init, worker_ready

from runbooks.errors import exit_on_user_error
from runbooks.genonaut.startcheck import check_at_start, check_beside
from runbooks.settings import current_settings

_START = 30.0
"""Seconds after which a pool child is no part of the worker's start, but takes the place of another one."""


class _Main:
    """What a pool child knows of its main process."""

    pid = 0
    checked = 0.0


def prepare_at_start() -> None:
    """Have it done in every process that becomes a worker."""
    worker_init.connect(_prepare_store)
    # Celery has set up its log by then, and has not forked.
    celeryd_after_setup.connect(_check)
    worker_process_init.connect(_in_a_child)
    worker_ready.connect(_in_main)


def _prepare_store(**_: Any) -> None:
    # In a worker alone, and before it forks; the connection that this takes is closed again.
    from runbooks.genonaut.store import prepare

    with exit_on_user_error():
        prepare(current_settings().database_url)


def _check(**_: Any) -> None:
    _Main.pid, _Main.checked = os.getpid(), time.monotonic()
    with exit_on_user_error():
        check_at_start(current_settings())


def _in_a_child(**_: Any) -> None:
    """The first child looks, from where the jobs go: main must not have a thread while it forks."""
    from billiard import current_process  # type: ignore[import-untyped]

    is_first = getattr(current_process(), "index", None) == 0
    if is_first and os.getpid() != _Main.pid and time.monotonic() - _Main.checked < _START:
        check_beside(current_settings())


def _in_main(sender: Any, **_: Any) -> None:
    if not type(sender.pool).__module__.endswith(".prefork"):
        check_beside(current_settings())
