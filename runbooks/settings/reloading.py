"""``CONFIG_RELOAD=on-change``: settings that follow their files while the process runs.

A look at the files costs a ``stat`` of each, at most once a second. Files that changed are read when they have come to
rest, and only a state that is complete and valid is taken up; otherwise the last good settings stay in force, and the
log and ``Reloader.state`` say why. Nothing ever falls back to a default because a file went away.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from runbooks.errors import UserError
from runbooks.settings.layers import Layer, Layers, Origin, Value, env_files, read_layers, settings_files, variable_of
from runbooks.settings.loader import Loaded, load_settings
from runbooks.settings.model import NEEDS_RESTART, Settings, needs_restart
from runbooks.settings.ownership import Ownership
from runbooks.settings.signature import (
    MISSING,
    Signature,
    Stamp,
    age,
    changed_paths,
    ends_its_last_line,
    has_content,
    signature_of,
)

logger = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks at the files."""
SETTLE = 0.2
"""Seconds that a file must have been left alone before it is read. It also outlasts a tick of the file system's clock
(4 ms), within which a second edit of the same size would leave no trace."""
PATIENCE = 5.0
"""Seconds that a file whose last line has lost its end is taken for one that is still being written."""


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


class Reloader:
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
        self._every, self._settle, self._patience = every, settle, patience
        self._files = settings_files(self._root, env_target)
        environ = os.environ if environ is None else environ
        signature = signature_of(self._files)
        self._ownership = Ownership(environ, read_layers(self._root, env_target, environ))
        self._start = self._read()
        self._ownership.follow(self._start.layers)
        self.state = ReloadState(self._start, datetime.now(UTC))
        self.settings = self._start.settings
        self._remember(signature)
        # A file that has just been written is read again.
        self._seen: Signature = {
            path: stamp for path, stamp in signature.items() if stamp == MISSING or _has_rested(stamp, settle)
        }
        self._candidate: tuple[Signature, float] = ({}, 0.0)
        self.next_look = time.monotonic() + every
        self._lock, self._pid = threading.Lock(), os.getpid()

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
        if self._pid != os.getpid():
            # The lock of before a fork may be held by a thread that was not forked along.
            self._lock, self._pid = threading.Lock(), os.getpid()
        # One thread looks; the others go on with what is in force.
        if self._lock.acquire(blocking=False):
            try:
                self.next_look = time.monotonic() + self._every
                self._look_locked()
            finally:
                self._lock.release()
        return self.state

    def _look_locked(self) -> None:
        # The signature is taken before reading, and must be the same afterwards: an edit in between is not lost.
        signature = signature_of(self._files)
        if signature == self._seen:
            return
        resting = self._has_settled(signature)
        problem = self._lost(signature)
        loaded = None
        if resting and problem is None:
            try:
                loaded = self._read()
            except UserError as error:
                problem = _without_values(error.what)
            except Exception as error:  # whatever stands in a file, the job that asks must go on
                problem = f"the files cannot be read ({type(error).__name__})."
        if not resting or signature_of(self._files) != signature:
            self.next_look = time.monotonic() + self._settle
            return
        self._seen = signature
        if loaded is not None:
            try:
                self._ownership.follow(loaded.layers)
            except ValueError:
                problem = "a value cannot stand in the environment of this process."
        if loaded is None or problem is not None:
            self._refuse(problem or "")
        else:
            self._remember(signature)
            self._take_up(loaded)

    def _read(self) -> Loaded:
        exported = self._ownership.exported
        return load_settings(self._root, self._env_target, exported, expand=exported)

    def _remember(self, good: Signature) -> None:
        """Keep how the files looked that the settings in force were read from."""
        self._good = good
        env = env_files(self._root, self._env_target).values()
        self._ended = {path for path in env if ends_its_last_line(path)}

    def _has_settled(self, signature: Signature) -> bool:
        """Whether nobody is writing any more, as far as that can be told."""
        now = time.monotonic()
        if self._candidate[0] != signature:
            self._candidate = (signature, now)
        unchanged = now - self._candidate[1]
        for path in changed_paths(signature, self._seen):
            unfinished = path in self._ended and not ends_its_last_line(path)
            if not _has_rested(signature[path], self._patience if unfinished else self._settle, unchanged):
                return False
        return True

    def _lost(self, signature: Signature) -> str | None:
        """A file that had something in it and is gone or empty: half of an edit, or a mistake, never a wish."""
        for path, stamp in signature.items():
            if has_content(self._good.get(path)) and not has_content(stamp):
                what = "is empty" if len(stamp) > 1 else "is gone or cannot be looked at"
                return f"{path.relative_to(self._root)} {what}. If it shall set nothing, leave a comment in it."
        return None

    def _refuse(self, problem: str) -> None:
        self.state = replace(self.state, problem=problem, problem_since=datetime.now(UTC))
        logger.warning("The last edit of the settings is not in force, the last good settings are: %s", problem)

    def _take_up(self, loaded: Loaded) -> None:
        before = self.state
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


def _has_rested(stamp: Stamp, seconds: float, unchanged: float = 0.0) -> bool:
    """Whether a file has been left alone for so long; ``unchanged`` is for how long it was seen to be."""
    known = age(stamp)
    return (unchanged if known is None else known) >= seconds


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


def _without_values(text: str) -> str:
    # What stands in quotes was read from a file, and may be a secret; file and line are enough to find it.
    return re.sub(r"(['\"]).*\1", "…", text)
