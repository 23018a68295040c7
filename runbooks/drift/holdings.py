"""What a running process holds beside what the files say now, seen from outside, and how sure that is.

A process's environment shows what it was started with, nothing that it loaded later. So a value that stands there is
certain, and one that came from a file is known only as long as the file has not changed since the process started.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from runbooks.drift.showing import shown_of
from runbooks.settings import needs_restart
from runbooks.settings.current import ON_CHANGE, SWITCH
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
            "holds": None if self.holds is None else shown_of(self.variable, self.holds),
            "says": None if self.says is None else shown_of(self.variable, self.says),
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
    words, changed = words_of_files(layers), changed_files(layers, started)
    evidence = _Evidence(
        layers=layers,
        changed=changed,
        # A starter that sources the env files exports all that they set: what it did not export was not in them.
        sourced=not layers.exports.keys().isdisjoint(environ),
        follows=_is_following(environ.get(SWITCH), words.get(SWITCH), changed),
    )
    return [evidence.judge(name, environ.get(name), word) for name, word in sorted(words.items())]


def _is_following(held: str | None, word: Value | None, changed: Collection[Path | None]) -> bool:
    """Whether its settings follow the files while it runs, by its environment or by what the files said then."""
    known = word if word is not None and word.origin.file not in changed else None
    if known is not None and (held is None or known.origin.layer is Layer.ENV_OVERRIDE):
        return text_of(known.value) == ON_CHANGE
    return held == ON_CHANGE


@dataclass(frozen=True)
class _Evidence:
    layers: Layers
    changed: Mapping[Path, datetime]
    sourced: bool
    follows: bool

    def judge(self, name: str, held: str | None, word: Value) -> Holding:
        """What is known of one variable: ``held`` is its value in the environment, ``word`` what the files say."""
        says = text_of(word.value)
        if word.origin.layer is Layer.ENV_OVERRIDE:
            holds, agreement, certainty, why = self._loaded_last(says, word)
        elif held is not None:
            holds, agreement, certainty, why = self._in_its_environment(held, says)
        else:
            holds, agreement, certainty, why = self._from_a_file(says, word)
        if self.follows and agreement is not Agreement.SAME and not needs_restart(name):
            # What a shell exported, and an edit that is broken, cannot be told from here. Its log and its report can.
            holds, agreement, certainty = says, Agreement.SAME, Certainty.LIKELY
            why = f"it follows its files ({SWITCH})"
        return Holding(name, holds, says, word.origin, agreement, certainty, why)

    def _loaded_last(self, says: str, word: Value) -> _Judgement:
        if word.origin.file not in self.changed:
            return says, Agreement.SAME, Certainty.CERTAIN, "env/.env is loaded last and has not changed since"
        return None, Agreement.UNKNOWN, Certainty.LIKELY, self._older_than(word)

    def _in_its_environment(self, held: str, says: str) -> _Judgement:
        agreement = Agreement.SAME if held == says else Agreement.DIFFERS
        if env_files(self.layers.root, self.layers.env_target)[Layer.ENV_OVERRIDE] in self.changed:
            return held, agreement, Certainty.LIKELY, "it stands in its environment; env/.env changed since"
        return held, agreement, Certainty.CERTAIN, "it stands in its environment"

    def _from_a_file(self, says: str, word: Value) -> _Judgement:
        if not self.changed:
            return says, Agreement.SAME, Certainty.CERTAIN, "no file has changed since it started"
        if word.origin.file in self.changed:
            return None, Agreement.UNKNOWN, Certainty.LIKELY, self._older_than(word)
        files = env_files(self.layers.root, self.layers.env_target)
        exported = (files[Layer.ENV_SHARED], files[Layer.ENV_TARGET]) if self.sourced else ()
        others = [path for path in self.changed if path not in exported]
        if not others:
            return says, Agreement.SAME, Certainty.LIKELY, "the env files were sourced, and did not set it then"
        named = ", ".join(self._shown(path) for path in others)
        return None, Agreement.UNKNOWN, Certainty.UNKNOWN, f"{named} changed after it started and may have set it"

    def _older_than(self, word: Value) -> str:
        assert word.origin.file is not None
        when = self.changed[word.origin.file].astimezone().strftime("%H:%M:%S")
        return f"it started before {self._shown(word.origin.file)} changed ({when}), so it likely holds an older value"

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self.layers.root))


_Judgement: TypeAlias = tuple[str | None, Agreement, Certainty, str]


def text_of(value: Any) -> str:
    """A value of a JSON file as an environment variable would spell it."""
    if isinstance(value, str):
        return value
    return json.dumps(value)
