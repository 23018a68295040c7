"""The settings of this process: frozen as ever, or, with ``CONFIG_RELOAD=on-change``, as the files say them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from time import monotonic

from runbooks.errors import UserError
from runbooks.settings.layers import Layer, env_files, read_env_file
from runbooks.settings.loader import get_settings
from runbooks.settings.model import Settings
from runbooks.settings.reloading import Reloader

SWITCH = "CONFIG_RELOAD"
ON_CHANGE = "on-change"

_held: ContextVar[Settings | None] = ContextVar("held_settings", default=None)
_held_here = _held.get


class _Process:
    """What this process has found out about itself."""

    asked = False
    following: Reloader | None = None


def current_settings() -> Settings:
    """The settings to begin a job or a request with.

    Without ``CONFIG_RELOAD`` this is ``get_settings()``, the pitfall, unchanged. With ``CONFIG_RELOAD=on-change`` an
    edit of the files is in force within a second and a half, and inside ``held_settings()`` nothing changes.

    Raises:
        UserError: as ``load_settings``, at the first call only.
    """
    held = _held_here()
    if held is not None:
        return held
    # This is called for every job and request, so the usual case is short: a look that is not due yet.
    following = _Process.following
    if following is not None and monotonic() < following.next_look:
        return following.settings
    following = reloader()
    return get_settings() if following is None else following.current()


@contextmanager
def held_settings() -> Iterator[Settings]:
    """What a job runs in: from here to the end of the block ``current_settings()`` returns the same settings.

    Other threads, and jobs of other threads, have their own.
    """
    settings = current_settings()
    token = _held.set(settings)
    try:
        yield settings
    finally:
        _held.reset(token)


def reloader() -> Reloader | None:
    """What makes this process's settings follow their files; None when ``CONFIG_RELOAD`` does not ask for it.

    The variable counts in the process environment and in the env files, by the usual order, when this is first asked.

    Raises:
        UserError: it has another value than ``on-change``; or as ``load_settings``.
    """
    if not _Process.asked:
        _Process.following = _new_reloader()
        _Process.asked = True
    return _Process.following


def _new_reloader() -> Reloader | None:
    root, env_target = Path.cwd(), os.environ.get("ENV_TARGET")
    wish = _switch(root, env_target)
    return Reloader(root, env_target) if env_target and is_on_change(wish) else None


def is_on_change(wish: str | None) -> bool:
    """Whether ``CONFIG_RELOAD`` asks for settings that follow their files.

    Raises:
        UserError: it has another value than ``on-change``.
    """
    if wish and wish != ON_CHANGE:
        raise UserError(f"{SWITCH} is {wish!r}.", f"Set it to {ON_CHANGE}, or not at all.")
    return bool(wish)


def _switch(root: Path, env_target: str | None) -> str | None:
    files = env_files(root, env_target) if env_target else {}
    said = {layer: read_env_file(path).get(SWITCH, (None, 0))[0] for layer, path in files.items()}
    in_order = (
        said.get(Layer.ENV_OVERRIDE),
        os.environ.get(SWITCH),
        said.get(Layer.ENV_TARGET),
        said.get(Layer.ENV_SHARED),
    )
    return next((wish for wish in in_order if wish is not None), None)
