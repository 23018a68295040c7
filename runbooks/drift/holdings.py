"""What a running process holds beside what the files say now, seen from outside, and how sure that is.

A process's environment shows what it was started with, nothing that it loaded later. So a value that stands there is
certain, and one that came from a file is known only as long as the file has not changed since the process started.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from runbooks.drift.redact import redact
from runbooks.settings.layers import Layer, Layers, Origin, Value, env_files, read_env_file, variable_of

# A start is known to 10 ms, a file's date to 4; and reading its files is never the first thing that a process does.
_BEFORE_IT_READS = timedelta(milliseconds=50)


class Certainty(StrEnum):
    """How sure a finding is."""

    CERTAIN = "certain"
    LIKELY = "likely"
    UNKNOWN = "unknown"


class Agreement(StrEnum):
    """Whether a process holds what the files say now."""

    SAME = "same"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Holding:
    """One variable: what the process holds, what the files say now.

    Attributes:
        variable: its name, such as ``COMFYUI_URL``.
        holds: the process's value; None when it cannot be seen from outside.
        says: what a process started now would get; None when no file sets it any more.
        origin: the file and line that say so.
        agreement: whether the two agree.
        certainty: how sure ``agreement`` is.
        why: the reason for it, in words.
    """

    variable: str
    holds: str | None
    says: str | None
    origin: Origin | None
    agreement: Agreement
    certainty: Certainty
    why: str

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``, secrets masked."""
        return {
            "variable": self.variable,
            "holds": None if self.holds is None else redact(self.variable, self.holds),
            "says": None if self.says is None else redact(self.variable, self.says),
            "origin": None if self.origin is None else str(self.origin),
            "agreement": str(self.agreement),
            "certainty": str(self.certainty),
            "why": self.why,
        }


def words_of_files(layers: Layers) -> dict[str, Value]:
    """For each variable that some file sets, the value that wins among the files, with its origin.

    Keyed by variable (``COMFYUI_URL``), whether the JSON files know the key or not. The process environment has no say.
    """
    words = {}
    for key, values in layers.values.items():
        from_files = [value for value in values if value.origin.layer is not Layer.ENVIRONMENT]
        words[variable_of(key)] = from_files[-1]
    for layer, path in env_files(layers.root, layers.env_target).items():
        for name, (text, line) in read_env_file(path).items():
            if name not in words or words[name].origin.layer <= layer:
                words[name] = Value(name, text, Origin(layer, name, path, line, layers.root))
    return words


def changed_files(layers: Layers, since: datetime) -> dict[Path, datetime]:
    """The configuration files that changed after ``since``, and when.

    The status time counts too: a file moved into place keeps its old modification time. A deleted file shows by its
    folder, which is why a change of ``config/`` or ``env/`` without one of a file inside is not claimed here.
    """
    paths = [
        layers.root / "config" / "base.json",
        layers.root / "config" / f"{layers.env_target}.json",
        *env_files(layers.root, layers.env_target).values(),
    ]
    found = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        when = datetime.fromtimestamp(max(status.st_mtime, status.st_ctime), UTC)
        if when > since + _BEFORE_IT_READS:
            found[path] = when
    return found


def compare(environ: Mapping[str, str], started: datetime, layers: Layers) -> list[Holding]:
    """What a process started at ``started`` with ``environ`` holds of every variable that the files set, by name.

    Raises:
        UserError: an env file cannot be read.
    """
    words = words_of_files(layers)
    changed = changed_files(layers, started)
    return [_compare_one(name, environ.get(name), word, changed, layers) for name, word in sorted(words.items())]


def _compare_one(name: str, held: str | None, word: Value, changed: Mapping[Path, datetime], layers: Layers) -> Holding:
    override = env_files(layers.root, layers.env_target)[Layer.ENV_OVERRIDE]
    says = text_of(word.value)

    def holding(holds: str | None, agreement: Agreement, certainty: Certainty, why: str) -> Holding:
        return Holding(name, holds, says, word.origin, agreement, certainty, why)

    file = word.origin.file
    if word.origin.layer is Layer.ENV_OVERRIDE:
        if override not in changed:
            return holding(says, Agreement.SAME, Certainty.CERTAIN, "env/.env is loaded last and has not changed since")
        return holding(None, Agreement.UNKNOWN, Certainty.LIKELY, _since(override, changed, layers))
    if held is not None:
        agreement = Agreement.SAME if held == says else Agreement.DIFFERS
        if override in changed:
            return holding(held, agreement, Certainty.LIKELY, "it stands in its environment; env/.env changed since")
        return holding(held, agreement, Certainty.CERTAIN, "it stands in its environment")
    if not changed:
        return holding(says, Agreement.SAME, Certainty.CERTAIN, "no file has changed since it started")
    if file is not None and file in changed:
        return holding(None, Agreement.UNKNOWN, Certainty.LIKELY, _since(file, changed, layers))
    others = ", ".join(_shown(path, layers) for path in changed)
    return holding(None, Agreement.UNKNOWN, Certainty.UNKNOWN, f"{others} changed after it started and may have set it")


def text_of(value: Any) -> str:
    """A value of a JSON file as an environment variable would spell it."""
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _since(path: Path, changed: Mapping[Path, datetime], layers: Layers) -> str:
    when = changed[path].astimezone().strftime("%H:%M:%S")
    return f"it started before {_shown(path, layers)} changed ({when}), so it likely holds an older value"


def _shown(path: Path, layers: Layers) -> str:
    return str(path.relative_to(layers.root) if path.is_relative_to(layers.root) else path)
