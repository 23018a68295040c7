"""What is wrong when a process starts: one warning for each problem, or, with ``STRICT_CONFIG=1``, no start.

Nothing here delays a start that is not strict, apart from a look at the files. Whether ComfyUI answers is looked at
beside the work, and with patience: a stack starts all its services at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from runbooks.drift import look_at
from runbooks.drift.atonce import Asked
from runbooks.drift.comfy import Answerer, is_local, look_at_url
from runbooks.drift.holdings import text_of
from runbooks.drift.reports import ReportsUnavailableError
from runbooks.drift.showing import shown
from runbooks.drift.strict import WAIT, Problem, disagreements, is_strict, look_at_others, refuse, warn_of
from runbooks.genonaut.health import make_watch
from runbooks.genonaut.holding import layers_at_start
from runbooks.settings import Layer, Layers, Settings, Value
from runbooks.settings.layers import variable_of

LAYERS = "architecture.md#six-layers-of-configuration"
MOCK_UP = "runbooks/is-the-mock-up.md"
SWITCH = "runbooks/switch-comfyui-and-mock.md"

_PATIENCE = 0.4
"""Seconds that ComfyUI gets for each step of an answer."""
_GRACE = 3.0
"""Seconds that ComfyUI gets to come up beside us before it is missed, or twice what our own start took."""
_EVERY = 0.3
_COMFYUI = (Answerer.COMFYUI, Answerer.KERNIE_GEN, Answerer.GENONAUT_MOCK)

# An env file on purpose above another one for the same target is a trap: who edits the lower one, changes nothing.
_TRAPS = {
    Layer.ENVIRONMENT: (Layer.ENV_SHARED, Layer.ENV_TARGET),
    Layer.ENV_OVERRIDE: (Layer.ENV_SHARED, Layer.ENV_TARGET, Layer.ENVIRONMENT),
}


class _Told:
    """What this process has said of others at its start."""

    about: ClassVar[set[str]] = set()


def check_at_start(settings: Settings) -> None:
    """Check before the work begins; with ``STRICT_CONFIG=1`` everything, else what takes no waiting.

    Raises:
        UserError: there is a problem, and the start is strict; one sentence for each.
    """
    deadline = time.monotonic() + WAIT
    asked = Asked(lambda: list(others(settings.broker_url)))
    with_comfyui = Asked(lambda: _with_patience(settings, deadline - _EVERY)) if is_strict() else None
    problems = [*shadowed(layers_at_start()), *output_folder(settings), *(asked.answer(deadline) or [])]
    if with_comfyui is None:
        warn_of(problems)
        _Told.about |= {problem.about for problem in problems if problem.about}
        return
    found = with_comfyui.answer(deadline)
    refuse([*problems, *([_silent(settings)] if found is None else found)])


def check_beside(settings: Settings) -> None:
    """Check in a thread what takes patience: ComfyUI, and processes that are started at the same time. Warns."""
    if not is_strict():
        threading.Thread(target=_check_patiently, args=(settings,), name="check-at-start", daemon=True).start()


def shadowed(layers: Layers) -> Iterator[Problem]:
    """Values of env files that a layer above hides, with another value: an edit there would change nothing."""
    for key, values in sorted(layers.values.items()):
        winner, traps = values[-1], _TRAPS.get(values[-1].origin.layer, ())
        hidden = next((value for value in reversed(values[:-1]) if value.origin.layer in traps), None)
        if hidden is not None and text_of(hidden.value) != text_of(winner.value):
            name = variable_of(key)
            yield Problem(
                f"{name}={_shown(name, winner)} ({winner.origin}) hides {_shown(name, hidden)} ({hidden.origin})",
                LAYERS,
            )


def output_folder(settings: Settings) -> Iterator[Problem]:
    """Whether the folder that pictures are looked for in is there and may be written: they are moved within it."""
    folder = Path(settings.comfyui_output_dir)
    if not folder.is_dir():
        reason = "is no folder" if folder.exists() else "is not there"
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        reason = "may not be written by this user"
    else:
        return
    origin = _origin("comfyui-output-dir")
    yield Problem(f"COMFYUI_OUTPUT_DIR={shown('COMFYUI_OUTPUT_DIR', str(folder))} ({origin}) {reason}", SWITCH)


def others(broker_url: str) -> Iterator[Problem]:
    """What the other processes of this target hold that is not what the files say."""
    try:
        watch = make_watch(broker_url)
    except ReportsUnavailableError:
        # No Redis. The start will say so in its own words.
        return
    yield from disagreements(look_at_others(watch))


def comfyui(settings: Settings) -> Problem | None:
    """Look once whether ComfyUI answers, is one, and writes where pictures are looked for."""
    seen = look_at_url(settings.comfyui_url, _PATIENCE)
    url = _url(settings)
    if seen.who not in _COMFYUI:
        return Problem(f"{url}: {seen.says}", MOCK_UP)
    if seen.output is None or not is_local(settings.comfyui_url) or _same(seen.output, settings.comfyui_output_dir):
        return None
    folder = f"COMFYUI_OUTPUT_DIR={shown('COMFYUI_OUTPUT_DIR', settings.comfyui_output_dir)}"
    return Problem(
        f"{folder} ({_origin('comfyui-output-dir')}) does not belong to {url}, which writes to "
        f"{shown('COMFYUI_OUTPUT_DIR', seen.output)}",
        SWITCH,
    )


def _silent(settings: Settings) -> Problem:
    return Problem(f"{_url(settings)}: does not answer within {WAIT:g} s", MOCK_UP)


def _url(settings: Settings) -> str:
    return f"COMFYUI_URL={shown('COMFYUI_URL', settings.comfyui_url)} ({_origin('comfyui-url')})"


def _check_patiently(settings: Settings) -> None:
    view = look_at(os.getpid())
    took = (datetime.now(UTC) - view.started).total_seconds() if view else 0.0
    until = time.monotonic() + max(_GRACE, 2 * took)
    warn_of(_with_patience(settings, until))
    time.sleep(max(until - time.monotonic(), 0.0))
    warn_of(problem for problem in others(settings.broker_url) if problem.about not in _Told.about)


def _with_patience(settings: Settings, until: float) -> list[Problem]:
    """The problem with ComfyUI, if there is one that lasts.

    Args:
        settings: of this process.
        until: when it is no longer looked at again, by ``time.monotonic()``.
    """
    while (problem := comfyui(settings)) is not None:
        # A wrong folder does not mend itself; all else may still be coming up.
        if problem.page == SWITCH or time.monotonic() > until:
            return [problem]
        time.sleep(_EVERY)
    return []


def _origin(key: str) -> str:
    layers = layers_at_start()
    return str(layers.effective(key).origin) if key in layers.values else "default"


def _shown(name: str, value: Value) -> str:
    return shown(name, text_of(value.value))


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
