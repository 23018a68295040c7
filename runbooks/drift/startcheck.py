"""``STRICT_CONFIG=1`` of an application that reports: with a problem it does not start."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from runbooks.drift.adapters import Held, Source
from runbooks.drift.atonce import Asked
from runbooks.drift.health import Watch
from runbooks.drift.reading import first_held, why_unreadable
from runbooks.drift.reports import ReportsUnavailableError
from runbooks.drift.strict import WAIT, Problem, disagreements, look_at_others, refuse

logger = logging.getLogger(__name__)


def check_strictly(
    source: Source, name: str, address: Callable[[Sequence[Held]], str | None], now: Callable[[], Any] | None = None
) -> None:
    """Look at the settings of this process, and whether the others hold them, too. Takes a second at most, and reading.

    A broker that does not answer is no problem: it is said that nobody was compared.

    Args:
        source: as for ``look``.
        name: under which the application reports.
        address: where reports are kept, by the settings that are read; None when no server is named.
        now: reads the settings anew.

    Raises:
        UserError: they cannot be read, or another process holds something else; one sentence for each.
    """
    try:
        snapshot = first_held(source, now)
    except Exception as error:  # a getter is the application's, and may raise anything
        refuse(map(Problem, why_unreadable(error)))
        return
    held = snapshot.held if snapshot else ()
    url = address(held)
    found = Asked(lambda: _compare(url, name, held)).answer(time.monotonic() + WAIT)
    if found is None or isinstance(found, str):
        logger.warning("Configuration: no other process was compared: %s", found or f"no answer within {WAIT:g} s.")
    else:
        refuse(found)


def _compare(url: str | None, name: str, held: Sequence[Held]) -> list[Problem] | str:
    """What others hold that is not what this process does; or why that cannot be told."""
    if url is None:
        return "no Redis server is named that keeps reports."
    target = os.environ.get("ENV_TARGET")
    try:
        view = look_at_others(Watch(url, name, env_target=target, files=lambda: held, needs_worker=False))
    except ReportsUnavailableError as error:
        return error.what
    except Exception as error:  # whatever is wrong there, nobody is known to disagree
        return f"{type(error).__name__}."
    if view.broker is not None:
        return view.broker
    mine = {each.key for each in held}
    # What is said of the files was read by this process just now, from its environment, too.
    drifts = tuple(replace(drift, against="this process") for drift in view.drifts if drift.key in mine)
    return list(disagreements(replace(view, drifts=drifts)))
