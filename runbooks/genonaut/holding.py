"""The settings that this process uses, with the line, variable or default that each value came from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from runbooks.drift.adapters import HIDDEN, NEEDS_RESTART, NOT_IN_FORCE, Held, Snapshot
from runbooks.drift.showing import text_of
from runbooks.errors import UserError
from runbooks.settings import Layers, Loaded, Settings, current_settings, load_settings, reloader
from runbooks.settings.layers import variable_of
from runbooks.settings.reloading import ReloadState

# Taken when this module is imported, which is before the settings are read: that loads the env files into os.environ,
# and then nobody can tell any more what had been exported.
_STARTED_WITH: Mapping[str, str] = dict(os.environ)


def settings_in_use() -> Snapshot:
    """What this process runs with.

    Raises:
        UserError: the settings cannot be read.
    """
    settings = current_settings()
    following = reloader()
    if following is None:
        return Snapshot(_with_origins(settings))
    state = following.state
    return Snapshot(held_by(state.loaded), state.since, "; ".join(_not_in_force(state)) or None)


def _not_in_force(state: ReloadState) -> Iterator[str]:
    """What of its files a process that follows them does not obey, without values."""
    if state.problem:
        yield f"{NOT_IN_FORCE}: {state.problem}"
    for edit in state.pending_restart:
        yield f"{edit} {NEEDS_RESTART}"
    for edit in state.shadowed:
        yield f"{edit} {HIDDEN}"


def held_by(loaded: Loaded) -> tuple[Held, ...]:
    """Settings that were just read."""
    return tuple(
        _held(loaded.settings, name, str(loaded.origin(key)) if loaded.origin(key) else "default")
        for name, key in _keys()
    )


# The settings are frozen, and one object as long as they are the same ones.
@lru_cache(maxsize=4)
def _with_origins(settings: Settings) -> tuple[Held, ...]:
    """Where the values of settings that were read some time ago came from, as far as that can still be told."""
    try:
        loaded = load_settings(environ=_STARTED_WITH)
    except UserError:
        return tuple(_held(settings, name, None) for name, _ in _keys())
    return tuple(_held(settings, name, _origin(settings, name, key, loaded.layers)) for name, key in _keys())


def _origin(settings: Settings, name: str, key: str, layers: Layers) -> str | None:
    value = getattr(settings, name)
    for found in reversed(layers.values.get(key, ())):
        if _read_as(settings, name, found.value) == value:
            return str(found.origin)
    if key not in layers.values and value == Settings.model_fields[name].default:
        return "default"
    return None


def _read_as(settings: Settings, name: str, value: object) -> object:
    """What a value of a file becomes as a setting."""
    try:
        return getattr(Settings.model_validate({**settings.model_dump(), name: value}), name)
    except ValueError:
        return None


def _held(settings: Settings, name: str, origin: str | None) -> Held:
    value = getattr(settings, name)
    return Held(variable_of(name), text_of(value), origin, public=value == Settings.model_fields[name].default)


def layers_at_start() -> Layers:
    """The six layers with the environment that this process was started with.

    Raises:
        UserError: the files cannot be read.
    """
    return load_settings(environ=_STARTED_WITH).layers


def _keys() -> list[tuple[str, str]]:
    return [(name, name.replace("_", "-")) for name in Settings.model_fields]


def settings_in_files(root: Path, env_target: str) -> tuple[Held, ...]:
    """What a process would get that is started now with nothing exported.

    Raises:
        UserError: the files cannot be read.
    """
    return held_by(load_settings(root, env_target, environ={}, expand=_STARTED_WITH))
