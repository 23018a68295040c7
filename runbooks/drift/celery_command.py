"""``celery -A APP inspect settings_report``: ask workers what they run with, where no broker keeps reports.

Importing this registers the command. It is kept apart because it loads all of Celery's worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from celery import Celery
from celery.worker.control import inspect_command

from runbooks.drift.fingerprint import Salt
from runbooks.drift.report import to_json
from runbooks.drift.reporter import Reporter

REPORTERS: WeakKeyDictionary[Celery, Callable[[], Reporter | None]] = WeakKeyDictionary()
"""Who speaks for a worker of an application."""


@inspect_command(args=[("salt", str)], signature="[SALT]")  # type: ignore[untyped-decorator]
def settings_report(state: Any, salt: str = "", **_: Any) -> dict[str, Any]:
    """The settings that a worker's main process uses.

    Ask all workers with one and the same ``salt`` (hexadecimal) to compare their fingerprints. The main process
    answers; the children of a prefork pool may hold other values, and cannot be asked.
    """
    reporter = REPORTERS[state.app]() if state.app in REPORTERS else None
    if reporter is None:
        return {"error": "this worker does not report its settings"}
    try:
        made_with = Salt(bytes.fromhex(salt)) if salt else Salt.random()
    except ValueError:
        return {"error": "the salt is not hexadecimal"}
    reporter.observe()
    report = reporter.report(made_with, datetime.now(UTC))
    answer: dict[str, Any] = json.loads(to_json(report))
    return answer
