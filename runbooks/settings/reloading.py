"""``CONFIG_RELOAD=on-change``: settings that follow their files while the process runs.

How files are followed stands in ``runbooks.settings.following``. When the last good settings stay in force, the log and
``Reloader.state`` say why.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from runbooks.errors import UserError
from runbooks.settings.following import EVERY, PATIENCE, SETTLE, Following
from runbooks.settings.layers import Layer, Layers, Origin, Value, env_files, read_layers, settings_files, variable_of
from runbooks.settings.loader import Loaded, load_settings
from runbooks.settings.model import NEEDS_RESTART, Settings, needs_restart
from runbooks.settings.ownership import Ownership
from runbooks.settings.signature import signature_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Edit:
    """An edit that is not in force.

    Attributes:
        variable: such as ``REDIS_URL``; the key of the JSON files is ``redis-url``.
        origin: the file and line that say it; None when no file sets it any more.
        says: what the file says now. It may be a secret: mask it before it is shown.
    """

    variable: str
    origin: Origin | None
    says: str | None = field(repr=False)

    def __str__(self) -> str:
        return f"{self.variable} ({self.origin or 'set by no file any more'})"


@dataclass(frozen=True)
class ReloadState:
    """What a process runs with, and what of its files is not in force.

    Attributes:
        loaded: the settings in force, and where each value came from.
        since: when they came into force in this process.
        problem: why the files as they stand now are not in force; None when they are. Quotes no value.
        problem_since: when that was seen.
        pending_restart: edits of what cannot change in a running process.
        shadowed: edits that an exported variable hides.
    """

    loaded: Loaded
    since: datetime
    problem: str | None = None
    problem_since: datetime | None = None
    pending_restart: tuple[Edit, ...] = ()
    shadowed: tuple[Edit, ...] = ()


class Reloader(Following[Loaded]):
    """The settings of this process, and the files that they follow. Safe to use from threads and across a fork.

    Attributes:
        settings: those in force, as of the last look; the same object until a value changes.
        state: the same with all that is to be said about it.
        next_look: when a look at the files is due, by ``time.monotonic()``.
    """

    def __init__(
        self,
        root: Path,
        env_target: str,
        environ: MutableMapping[str, str] | None = None,
        *,
        every: float = EVERY,
        settle: float = SETTLE,
        patience: float = PATIENCE,
    ) -> None:
        """Read the settings for the first time, and load the env files into the environment.

        Args:
            root: the folder that holds ``config/`` and ``env/``.
            env_target: such as ``local-demo``.
            environ: the process environment, which the env files are loaded into; ``os.environ`` by default.
            every: seconds between two looks.
            settle: seconds that a changed file must have been left alone.
            patience: seconds that a file with an unfinished last line is waited for.

        Raises:
            UserError: as ``load_settings``. Later nothing raises.
        """
        self._root, self._env_target = root.resolve(), env_target
        files, lined = settings_files(self._root, env_target), env_files(self._root, env_target).values()
        super().__init__(files, lined, every=every, settle=settle, patience=patience)
        environ = os.environ if environ is None else environ
        signature = signature_of(files)
        self._ownership = Ownership(environ, read_layers(self._root, env_target, environ))
        self._start = self._read()
        self._ownership.follow(self._start.layers)
        self.state = ReloadState(self._start, datetime.now(UTC))
        self.settings = self._start.settings
        self._begin(signature)

    @property
    def pending_restart(self) -> list[Edit]:
        """Edits of what cannot change in a running process: broker, pool, job store, address and port."""
        return list(self.state.pending_restart)

    def current(self) -> Settings:
        """The settings in force, after a look at the files if one is due."""
        if time.monotonic() >= self.next_look:
            self.look()
        return self.settings

    def look(self) -> ReloadState:
        """Look at the files now, take up what has changed, and return what is in force then. Never raises."""
        self.look_at_files()
        return self.state

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root))

    def _read(self) -> Loaded:
        exported = self._ownership.exported
        return load_settings(self._root, self._env_target, exported, expand=exported)

    def _refuse(self, problem: str) -> None:
        self.state = replace(self.state, problem=problem, problem_since=datetime.now(UTC))
        logger.warning("The last edit of the settings is not in force, the last good settings are: %s", problem)

    def _take_up(self, found: Loaded) -> None:
        loaded, before = found, self.state
        try:
            self._ownership.follow(loaded.layers)
        except ValueError as error:
            raise UserError(
                "a value cannot stand in the environment of this process.", "Correct that value."
            ) from error
        now = _with_start_values(loaded, self._start)
        changed = [
            name for name in Settings.model_fields if getattr(now.settings, name) != getattr(self.settings, name)
        ]
        if changed:
            self.settings = now.settings
        self.state = ReloadState(
            # The same object when no value has changed: nobody is to think that something happened.
            Loaded(self.settings, now.layers),
            datetime.now(UTC) if changed else before.since,
            pending_restart=_pending(loaded.layers, self._start.layers, self._ownership.exported),
            shadowed=_shadowed(loaded.layers, self._start.layers, self._ownership.exported),
        )
        _tell(before, self.state, [name.replace("_", "-") for name in changed])


def _tell(before: ReloadState, now: ReloadState, changed: Iterable[str]) -> None:
    named = [f"{key} ({now.loaded.origin(key) or 'default'})" for key in changed]
    if named:
        logger.info("Settings changed: %s", ", ".join(named))
    elif before.problem:
        logger.info("The settings files are in order again.")
    for edit in _new(now.pending_restart, before.pending_restart):
        logger.warning("%s was edited and needs a restart: this process keeps what it started with.", edit)
    for edit in _new(now.shadowed, before.shadowed):
        logger.warning(
            "%s: the edit is shadowed by the exported %s, which this process keeps.", edit.origin, edit.variable
        )


def _new(now: Iterable[Edit], before: Iterable[Edit]) -> list[Edit]:
    # Another line alone is not another edit.
    told = {(edit.variable, edit.says) for edit in before}
    return [edit for edit in now if (edit.variable, edit.says) not in told]


def _with_start_values(loaded: Loaded, start: Loaded) -> Loaded:
    """What was read, but for the keys that need a restart."""
    fields = [key.replace("-", "_") for key in NEEDS_RESTART]
    settings = loaded.settings.model_copy(update={name: getattr(start.settings, name) for name in fields})
    values = {key: found for key, found in loaded.layers.values.items() if key not in NEEDS_RESTART}
    values |= {key: found for key, found in start.layers.values.items() if key in NEEDS_RESTART}
    return Loaded(settings, replace(loaded.layers, values=values))


def _pending(now: Layers, start: Layers, exported: Mapping[str, str]) -> tuple[Edit, ...]:
    said, says = _words(start), _words(now)
    names = sorted(name for name in said.keys() | says.keys() if needs_restart(name))
    edits = [_edit(name, says.get(name)) for name in names if not _hidden(says.get(name) or said.get(name), exported)]
    return tuple(edit for edit in edits if edit.says != _edit(edit.variable, said.get(edit.variable)).says)


def _shadowed(now: Layers, start: Layers, exported: Mapping[str, str]) -> tuple[Edit, ...]:
    said, says = _words(start), _words(now)
    edits = [_edit(name, word) for name, word in sorted(says.items()) if _hidden(word, exported)]
    return tuple(
        edit
        for edit in edits
        if edit.says not in (exported[edit.variable], _edit(edit.variable, said.get(edit.variable)).says)
    )


def _words(layers: Layers) -> dict[str, Value]:
    """For each variable that some file sets, the value that wins among the files."""
    words = dict(layers.assigned)
    for key, values in layers.values.items():
        words[variable_of(key)] = [value for value in values if value.origin.layer is not Layer.ENVIRONMENT][-1]
    return words


def _hidden(word: Value | None, exported: Mapping[str, str]) -> bool:
    """Whether an exported variable wins over the files."""
    return word is not None and word.origin.variable in exported and word.origin.layer is not Layer.ENV_OVERRIDE


def _edit(variable: str, word: Value | None) -> Edit:
    return Edit(variable, word.origin if word else None, str(word.value) if word else None)
