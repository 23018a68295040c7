"""``CONFIG_RELOAD=on-change`` of an application that reports: its cached getter reads again when a file has changed.

The application's getter is not wrapped. What it keeps is emptied and filled again before a task or a request begins,
once the files have been read beside it and are in order.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from runbooks.drift.adapters import HIDDEN, NOT_IN_FORCE, Held, Snapshot, Source, look
from runbooks.drift.origins import HiddenLine, hidden_lines, source_files
from runbooks.drift.reading import uncached, why_unreadable
from runbooks.errors import UserError
from runbooks.settings.current import SWITCH, is_on_change
from runbooks.settings.following import EVERY, PATIENCE, SETTLE, Following
from runbooks.settings.signature import signature_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _InForce:
    """What the getter returns, and what of the files is not obeyed.

    Attributes:
        held: the settings.
        since: since when.
        problem: why the files as they stand now are not in force; quotes no value.
        hidden: edits that an exported variable hides.
    """

    held: tuple[Held, ...] = field(repr=False)
    since: datetime
    problem: str | None = None
    hidden: tuple[HiddenLine, ...] = ()


class Follower(Following[Any]):
    """A cached getter of settings, and the files that it reads.

    Attributes:
        speaks: whether this process logs what has changed. Not every pool child need say the same.
    """

    def __init__(
        self,
        getter: Callable[[], Any],
        files: Iterable[Path] | None = None,
        *,
        every: float = EVERY,
        settle: float = SETTLE,
        patience: float = PATIENCE,
    ) -> None:
        """Have the getter read the settings, unless it has, so that there are good ones to keep.

        Args:
            getter: cached, as by ``functools.lru_cache``.
            files: what it reads; by default the env and secret files of its ``pydantic-settings``.
            every: seconds between two looks at the files.
            settle: seconds that a changed file must have been left alone.
            patience: seconds that a file with an unfinished last line is waited for.

        Raises:
            UserError: the settings cannot be read.
        """
        anew = uncached(getter)
        assert anew is not None, "only what is cached is followed"
        self._getter, self._anew = getter, anew
        try:
            settings = getter()
        except Exception as error:  # the application's own
            raise _unreadable(error) from error
        paths = source_files(settings) if files is None else list(files)
        super().__init__(paths, paths, every=every, settle=settle, patience=patience)
        # They may have been read long ago, so the first look reads once more and compares.
        self._good = signature_of(paths)
        self._remember(self._good)
        self.files = paths
        self.speaks = True
        self._at_start = _words(settings)
        self._state = _InForce(_held(settings), datetime.now(UTC))
        self._busy, self._begins = 0, threading.Lock()

    def begin(self) -> None:
        """A task begins: look at the files if that is due. Until ``end``, ``snapshot`` looks no more."""
        with self._begins:
            self._busy += 1
            self.look_if_due()

    def end(self) -> None:
        """It has ended."""
        with self._begins:
            self._busy = max(self._busy - 1, 0)

    def look_if_due(self) -> None:
        """Look at the files if that is due."""
        if time.monotonic() >= self.next_look:
            self.look_at_files()

    def snapshot(self) -> Snapshot:
        """What is in force, after a look at the files where no task would notice."""
        with self._begins:
            if not self._busy:
                self.look_if_due()
        now = look(self._getter)
        if now is not None and _values(now.held) != _values(self._state.held):
            # Somebody else has emptied the cache.
            self._state = replace(self._state, held=now.held, since=datetime.now(UTC))
        state = self._state
        told = [f"{NOT_IN_FORCE}: {state.problem}"] if state.problem else []
        told += [f"{line} {HIDDEN}" for line in state.hidden]
        return Snapshot(state.held, state.since, "; ".join(told) or None)

    def forked(self) -> None:
        """In a process that was forked from the one that this was made in."""
        self._begins, self._busy, self.speaks = threading.Lock(), 0, False

    def _read(self) -> Any:
        try:
            return self._anew()
        except Exception as error:  # the application's own
            raise _unreadable(error) from error

    def _take_up(self, found: Any) -> None:
        before, held = self._state, _held(found)
        changed = _changed(before.held, held)
        if changed:
            self._getter.cache_clear()  # type: ignore[attr-defined]
            try:
                self._getter()
            except Exception as error:  # it was edited once more, in this very moment
                raise _unreadable(error) from error
        now = _InForce(held, datetime.now(UTC) if changed else before.since, None, self._hidden(found))
        self._state = now
        if self.speaks:
            _tell(before, now, changed)

    def _refuse(self, problem: str) -> None:
        self._state = replace(self._state, problem=problem)
        if self.speaks:
            logger.warning("The last edit of the settings is not in force, the last good settings are: %s", problem)

    def _hidden(self, settings: Any) -> tuple[HiddenLine, ...]:
        """Lines that were edited since the start, and that an exported variable hides."""
        lines = hidden_lines(settings) if isinstance(settings, BaseModel) else ()
        return tuple(
            line for line in lines if line.says not in (os.environ[line.variable], self._at_start.get(line.variable))
        )


def follow(source: Source, files: Iterable[str | Path] | None = None) -> Follower | None:
    """Have an application's settings follow their files, if ``CONFIG_RELOAD=on-change`` asks for that.

    Args:
        source: as for ``look``; only a cached function can be followed.
        files: what it reads; by default the env and secret files of its ``pydantic-settings``.

    Returns:
        None when nobody asks for it, or when it cannot be; then the log says why.

    Raises:
        UserError: the variable has another value, or the settings cannot be read: there are no good ones to keep.
    """
    if not is_on_change(os.environ.get(SWITCH)):
        return None
    if uncached(source) is None:
        kept = "a function that has no cache_clear()" if callable(source) else "settings, and no function"
        logger.warning("%s is set, but nothing is reloaded: report_settings was given %s.", SWITCH, kept)
        return None
    getter = typing.cast(Callable[[], Any], source)
    found = Follower(getter, None if files is None else [Path(file).expanduser() for file in files])
    if not found.files:
        logger.warning("%s is set, but no file is known that the settings come from: give files=[...].", SWITCH)
        return None
    return found


def _unreadable(error: Exception) -> UserError:
    return UserError(" ".join(f"{why}." for why in why_unreadable(error)), "Correct the last edit.")


def _held(settings: Any) -> tuple[Held, ...]:
    found = look(settings)
    return found.held if found else ()


def _words(settings: Any) -> Mapping[str, str]:
    lines = hidden_lines(settings) if isinstance(settings, BaseModel) else ()
    return {line.variable: line.says for line in lines}


def _values(held: Iterable[Held]) -> list[tuple[str, str]]:
    return [(each.key, each.value) for each in held]


def _changed(before: Iterable[Held], now: Iterable[Held]) -> list[Held]:
    """What is another value now; what is gone counts with its old one."""
    old, new = ({each.key: each for each in held} for held in (before, now))
    found = [each for key, each in new.items() if key not in old or old[key].value != each.value]
    return found + [each for key, each in old.items() if key not in new]


def _tell(before: _InForce, now: _InForce, changed: Iterable[Held]) -> None:
    named = [f"{each.key} ({each.origin or 'origin unknown'})" for each in changed]
    if named:
        logger.info("Settings changed: %s", ", ".join(named))
    elif before.problem:
        logger.info("The settings files are in order again.")
    told = {(line.variable, line.says) for line in before.hidden}
    for line in now.hidden:
        if (line.variable, line.says) not in told:
            logger.warning(
                "%s: the edit is shadowed by the exported %s, which this process keeps.", line.origin, line.variable
            )
