"""Where pydantic-settings took a value from: it does not keep that, so its rules are followed once more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from runbooks.errors import UserError
from runbooks.settings.layers import read_env_file
from runbooks.settings.signature import Stamp, signature_of

ELSEWHERE = "argument or another source"


@dataclass(frozen=True)
class HiddenLine:
    """A line of an env file that counts for nothing, because a variable of that name is exported.

    Attributes:
        variable: the variable.
        origin: file and line.
        says: what the line says. It may be a secret.
    """

    variable: str
    origin: str
    says: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.variable} ({self.origin})"


class Origins:
    """The variables, env files and secret files of one settings object, as they are now."""

    def __init__(self, settings: BaseModel) -> None:
        config: Mapping[str, Any] = settings.model_config
        self._prefix: str | None = config.get("env_prefix")
        self._delimiter: str | None = config.get("env_nested_delimiter")
        self._files, self._folders = _paths(config.get("env_file")), _paths(config.get("secrets_dir"))
        self._folded = str if config.get("case_sensitive") else str.lower
        self._environ = {self._folded(variable): variable for variable in os.environ}

    def of(self, name: str, field: FieldInfo) -> str | None:
        """The origin of a field's value; None for a model that reads nothing by itself."""
        if self._prefix is None:
            return None
        return self._first_with(self._names(name, field)) or ELSEWHERE

    def of_part(self, name: str, field: FieldInfo, part: str) -> str | None:
        """The origin of one value inside a field (``db.host`` is part ``host``), if it has a variable of its own."""
        if self._prefix is None or not self._delimiter:
            return None
        end = self._delimiter + part.replace(".", self._delimiter)
        return self._first_with([each + end for each in self._names(name, field)])

    def hidden(self, name: str, field: FieldInfo) -> HiddenLine | None:
        """The line of an env file that would be the origin, if it were not for an exported variable."""
        folded = [self._folded(each) for each in self._names(name, field)] if self._prefix is not None else []
        variable = next((self._environ[each] for each in folded if each in self._environ), None)
        for file in reversed(self._files) if variable else ():
            for key, (text, line) in _lines(file, signature_of([file])[file]).items():
                if self._folded(key) in folded and variable is not None:
                    return HiddenLine(variable, f"{file}:{line}", text)
        return None

    def _names(self, name: str, field: FieldInfo) -> list[str]:
        aliases = field.validation_alias
        if isinstance(aliases, str):
            return [aliases]
        choices = getattr(aliases, "choices", None)
        if choices:
            return [choice for choice in choices if isinstance(choice, str)]
        return [f"{self._prefix}{name}"]

    def _first_with(self, names: list[str]) -> str | None:
        """The environment wins over env files, of which the last wins, and those win over secret files."""
        folded = [self._folded(name) for name in names]
        return next(self._found(folded), None)

    def _found(self, names: list[str]) -> Iterator[str]:
        yield from (f"environment variable {self._environ[name]}" for name in names if name in self._environ)
        for file in reversed(self._files):
            lines = _lines(file, signature_of([file])[file])
            yield from (
                f"{file}:{line}" for name in names for key, (_, line) in lines.items() if self._folded(key) == name
            )
        for folder in reversed(self._folders):
            yield from (str(folder / name) for name in _names_in(folder) if self._folded(name) in names)


def hidden_lines(settings: BaseModel) -> tuple[HiddenLine, ...]:
    """The lines of its env files that exported variables hide, as both are now."""
    origins = Origins(settings)
    found = (origins.hidden(name, field) for name, field in type(settings).model_fields.items())
    return tuple(line for line in found if line is not None)


def source_files(settings: Any) -> list[Path]:
    """The env files that settings of ``pydantic-settings`` are read from, and the secret files with their folders."""
    config: Mapping[str, Any] = getattr(settings, "model_config", {})
    folders = _paths(config.get("secrets_dir"))
    secrets = [folder / name for folder in folders for name in sorted(_names_in(folder))]
    return [*_paths(config.get("env_file")), *folders, *secrets]


def _paths(given: Any) -> list[Path]:
    several = given if isinstance(given, list | tuple) else [given] if given else []
    return [Path(str(each)) for each in several]


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


# Looked at every few seconds, and edited once a week.
@lru_cache(maxsize=16)
def _lines(file: Path, _stamp: Stamp) -> Mapping[str, tuple[str, int]]:
    """The variables of an env file with their lines; none if it cannot be read."""
    try:
        return read_env_file(file)
    except UserError:
        return {}
