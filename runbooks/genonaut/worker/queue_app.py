"""The Celery application: what ``celery -A …:celery_app`` loads in the worker, and what the API queues jobs with."""

from __future__ import annotations

import sys
from functools import cache
from urllib.parse import urlsplit

from celery import Celery

from runbooks.drift import redact_text
from runbooks.drift.celery import report_settings
from runbooks.errors import UserError, exit_on_user_error
from runbooks.genonaut import NAME, VERSION
from runbooks.genonaut.holding import settings_in_use
from runbooks.genonaut.worker import GENERATION_QUEUE, RUN_JOB
from runbooks.genonaut.worker.starting import prepare_at_start
from runbooks.settings import current_settings

celery_app: Celery
"""Made when it is first asked for: importing this module reads no settings."""


def __getattr__(name: str) -> Celery:
    if name != "celery_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with exit_on_user_error():
        return _make_celery_app()


@cache
def _make_celery_app() -> Celery:
    # In a worker this runs in the main process, before it forks: what get_settings() caches here, every pool child
    # inherits. That is the freeze of the incident, and it is meant to be here, unless CONFIG_RELOAD asks otherwise.
    settings = current_settings()
    _check_broker_url(settings.broker_url)
    app = Celery(NAME, broker=settings.broker_url)
    app.conf.update(
        imports=("runbooks.genonaut.worker.tasks",),
        accept_content=["json"],
        timezone="UTC",
        task_default_queue="default",
        task_routes={RUN_JOB: {"queue": GENERATION_QUEUE}},
        # A job's result is its row in the job store; nobody asks Celery for it.
        task_ignore_result=True,
        # As the real worker: the message is acknowledged when the job starts, so a job whose process is killed stays
        # `running` for ever. acks_late would hand it to another worker.
        task_acks_late=False,
        task_soft_time_limit=25 * 60,
        task_time_limit=30 * 60,
        worker_max_tasks_per_child=100,
        broker_connection_retry_on_startup=True,
        # Seconds after which Redis hands a message that nobody acknowledged to another worker. It must exceed the
        # longest job (900 s): a shorter one runs it twice.
        broker_transport_options={"visibility_timeout": 3600},
    )
    prepare_at_start()
    report_settings(app, settings_in_use, version=VERSION, warn=False, switches=False)
    sys.stdout.write(f"[Celery Worker] ComfyUI URL: {redact_text(settings.comfyui_url)}\n")
    sys.stdout.flush()
    return app


def _check_broker_url(url: str) -> None:
    # The URL is not shown: it may have a password, and a broken one cannot be masked with certainty.
    problem = UserError(
        "The broker URL is not that of a Redis server.",
        "Write REDIS_URL, or CELERY_BROKER_URL where that is set, like redis://localhost:6379/0",
    )
    if not url.startswith(("redis://", "rediss://", "redis+socket://")):
        raise problem
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise problem from None
