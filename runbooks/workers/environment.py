"""The environment that a worker is started again with: the old one, without what the files set."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from runbooks.drift import words_of_files
from runbooks.drift.holdings import text_of
from runbooks.drift.presence import REPLACES
from runbooks.drift.showing import shown_of
from runbooks.settings import Layers

# A configuration key may be called "path"; a process without PATH is not what anyone meant by that.
_SYSTEM = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV"})


@dataclass(frozen=True)
class Change:
    """One variable that the new environment has otherwise than the old one.

    Attributes:
        variable: its name.
        old: its value in the old environment; None when it was not there.
        new: its value in the new environment; None when it is left out there.
        origin: the file and line that decide what the new worker gets.
        gets: the value that the new worker gets, from the environment or from a file.
    """

    variable: str
    old: str | None
    new: str | None
    origin: str | None
    gets: str | None

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``, secrets masked."""
        shown = {name: getattr(self, name) for name in ("old", "new", "gets")}
        return {
            "variable": self.variable,
            **{name: None if text is None else shown_of(self.variable, text) for name, text in shown.items()},
            "origin": self.origin,
        }


@dataclass(frozen=True)
class Rebuilt:
    """The new environment, and where it differs from the old one."""

    variables: Mapping[str, str] = field(repr=False)
    changes: tuple[Change, ...]


def rebuild_environment(old: Mapping[str, str], layers: Layers, keep: Collection[str] = ()) -> Rebuilt:
    """Leave out every variable that a file sets, then put in what the Makefile exports, read now.

    So the new value wins also where the old one had been exported in the shell that started the worker.

    Args:
        old: environment of the process that is replaced.
        layers: what the files say now.
        keep: variables that survive from ``old`` though a file sets them.
    """
    old = {name: text for name, text in old.items() if name != REPLACES}
    # A shell expands PATH=bin:$PATH when it sources the file; the value as written would not find a single program.
    settable = {name for name, text in layers.exports.items() if "$" not in text}
    kept = (_SYSTEM - settable) | set(keep)
    new = {name: text for name, text in old.items() if name in kept or name not in layers.variables}
    new.update({name: text for name, text in layers.exports.items() if name not in kept or name not in old})
    new["ENV_TARGET"] = layers.env_target

    words = words_of_files(layers)
    changes = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        word = words.get(name)
        changes.append(
            Change(
                variable=name,
                old=old.get(name),
                new=new.get(name),
                origin=str(word.origin) if word else None,
                gets=text_of(word.value) if word else new.get(name),
            )
        )
    return Rebuilt(new, tuple(changes))
