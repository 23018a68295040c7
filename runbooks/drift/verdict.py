"""The verdict on one process, key by key: what it holds, what the files say, since when, and how sure that is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Any

from runbooks.drift import showing
from runbooks.drift.holdings import Agreement, Certainty, Holding, changed_files, compare
from runbooks.drift.processes import ProcessView
from runbooks.settings import Layers, Settings
from runbooks.settings.layers import Layer, env_files, variable_of

KNOWN = frozenset(variable_of(name) for name in Settings.model_fields)
"""The variables that decide where jobs go, and those of the API."""


class Source(StrEnum):
    """How a process came by the value that it holds."""

    FILES = "files"
    """From the files as they were when it started."""
    EXPORTED = "exported"
    """From a variable that somebody exported before the process, or what started it, was started."""


@dataclass(frozen=True)
class Told:
    """What a process says itself that it holds.

    Attributes:
        value: the value.
        by: where it says so, such as ``its own log``.
        certainty: how sure that is.
        origin: where the process has it from, as it says; None when it does not.
    """

    value: str
    by: str
    certainty: Certainty
    origin: str | None = None


@dataclass(frozen=True)
class KeyVerdict:
    """One variable of one process.

    Attributes:
        variable: its name, such as ``COMFYUI_URL``.
        holds: the process's value; None when it cannot be seen.
        says: what a process started now would get.
        origin: the file and line that say so.
        held_from: where the process has its value from, in words; None when nothing is known of that.
        source: how the process came by a value that differs.
        agreement: whether the two agree.
        certainty: how sure that is.
        why: the reason for it, in words.
        since: since when they differ: when the file changed; None when that is not why.
    """

    variable: str
    holds: str | None
    says: str | None
    origin: str | None
    held_from: str | None
    source: Source
    agreement: Agreement
    certainty: Certainty
    why: str
    since: datetime | None

    @property
    def differs(self) -> bool:
        """Whether the process holds something else, or likely does."""
        return self.agreement is Agreement.DIFFERS or (
            self.agreement is Agreement.UNKNOWN and self.certainty is Certainty.LIKELY
        )

    @property
    def is_open(self) -> bool:
        """Whether it cannot be told."""
        return self.agreement is Agreement.UNKNOWN and self.certainty is Certainty.UNKNOWN

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``, as they may be shown."""
        return {
            "variable": self.variable,
            "holds": shown(self.variable, self.holds),
            "says": shown(self.variable, self.says),
            "origin": self.origin,
            "held_from": self.held_from,
            "source": str(self.source),
            "agreement": str(self.agreement),
            "certainty": str(self.certainty),
            "why": self.why,
            "since": self.since.isoformat() if self.since else None,
        }


def shown(variable: str, value: str | None) -> str | None:
    """A value as it may be shown, judged by its name and by what it looks like.

    >>> shown("COMFYUI_URL", "http://me:hunter2@localhost:8189")
    'http://me:****@localhost:8189'
    >>> shown("GREETING", "hunter2")
    '****'
    """
    return None if value is None else showing.shown_of(variable, value)


def judge(
    process: ProcessView,
    layers: Layers,
    *,
    started: datetime | None = None,
    above: Sequence[ProcessView] = (),
    told: Mapping[str, Told] | None = None,
) -> list[KeyVerdict]:
    """The verdict on every variable that the files set, by name.

    Args:
        process: the process whose environment counts.
        layers: what the files say now.
        started: when it read the files, if that was not when ``process`` was started.
        above: its ancestors, nearest first; one with the same variable shows that it was exported.
        told: what the process says itself. What is certain counts more than what is concluded from outside.

    Raises:
        UserError: an env file cannot be read.
    """
    began = started or process.started
    environ = process.environ or {}
    case = _Case(environ, layers, changed_files(layers, began), above, began, told or {})
    return [case.verdict(holding) for holding in compare(environ, began, layers)]


@dataclass(frozen=True)
class _Case:
    environ: Mapping[str, str]
    layers: Layers
    changed: Mapping[Path, datetime]
    above: Sequence[ProcessView]
    began: datetime
    told: Mapping[str, Told]

    def verdict(self, holding: Holding) -> KeyVerdict:
        holds, agreement, certainty, why = holding.holds, holding.agreement, holding.certainty, holding.why
        source, held_from = self._source(holding)
        said = self.told.get(holding.variable)
        if said is not None and certainty is Certainty.CERTAIN and same_value(said.value, holds or "", self.environ):
            why = f"{why}, and {said.by} says so too"
        elif said is not None and (said.certainty is Certainty.CERTAIN or agreement is Agreement.UNKNOWN):
            same = same_value(said.value, holding.says or "", self.environ)
            holds, agreement = said.value, Agreement.SAME if same else Agreement.DIFFERS
            certainty, why = said.certainty, f"{said.by} says so"
            held_from = said.origin or held_from
        elif agreement is Agreement.DIFFERS and same_value(holds or "", holding.says or "", self.environ):
            agreement, why = Agreement.SAME, "a shell expanded what the file says"
        file = holding.origin.file if holding.origin else None
        return KeyVerdict(
            variable=holding.variable,
            holds=holds,
            says=holding.says,
            origin=str(holding.origin) if holding.origin else None,
            held_from=held_from,
            source=source,
            agreement=agreement,
            certainty=certainty,
            why=why,
            since=self.changed.get(file) if file is not None and agreement is not Agreement.SAME else None,
        )

    def _source(self, holding: Holding) -> tuple[Source, str | None]:
        """How the process came by its value, and that in words."""
        name, held = holding.variable, holding.holds
        when = f"{self.began.astimezone():%H:%M:%S}"
        loaded_last = holding.origin is not None and holding.origin.layer is Layer.ENV_OVERRIDE
        if name not in self.environ or loaded_last:
            return Source.FILES, f"the files as they were at {when}"
        exporter = first_with(name, held, self.above)
        if exporter is not None:
            return Source.EXPORTED, f"a variable exported before {exporter.name} (pid {exporter.pid}) was started"
        file = holding.origin.file if holding.origin else None
        sourced = (Layer.ENV_SHARED, Layer.ENV_TARGET)
        files = env_files(self.layers.root, self.layers.env_target)
        if any(files[layer] in self.changed for layer in sourced) or file in self.changed:
            return Source.FILES, f"the env files as they were at {when}"
        if holding.agreement is Agreement.DIFFERS:
            return Source.EXPORTED, f"a variable exported before {when}, when it was started"
        return Source.FILES, "its environment"


def first_with(name: str, value: str | None, above: Iterable[ProcessView]) -> ProcessView | None:
    """The topmost ancestor that handed ``name`` down unchanged; None if the parent does not have it."""
    found = None
    for view in above:
        if view.environ is None or name not in view.environ or view.environ[name] != value:
            break
        found = view
    return found


def same_value(held: str, says: str, environ: Mapping[str, str]) -> bool:
    """Whether they are the same once a shell has expanded ``~`` and ``$NAME``, and whatever URL has a last slash."""
    home = environ.get("HOME") or str(Path.home())
    expanded = home + says[1:] if says == "~" or says.startswith("~/") else says
    expanded = Template(expanded).safe_substitute(environ)
    return held.rstrip("/") == expanded.rstrip("/") or held == os.path.expandvars(says)
