"""Read the six layers, lowest first, and keep where every value came from.

``config/base.json`` < ``config/{ENV_TARGET}.json`` < ``env/.env.shared`` < ``env/.env.{ENV_TARGET}`` <
process environment < ``env/.env``. Measured on the real application: a variable overrides only keys that the JSON files
have, and a ``.env`` at the root is ignored.
"""

from __future__ import annotations

import json
import os
import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from dotenv.variables import parse_variables

from runbooks.errors import UserError


class Layer(IntEnum):
    """The six layers; a higher one wins."""

    BASE_JSON = 1
    TARGET_JSON = 2
    ENV_SHARED = 3
    ENV_TARGET = 4
    ENVIRONMENT = 5
    ENV_OVERRIDE = 6


@dataclass(frozen=True)
class Origin:
    """Where a value came from: a line of a file, or a variable of the process environment."""

    layer: Layer
    variable: str
    file: Path | None = None
    line: int | None = None
    root: Path | None = None

    def __str__(self) -> str:
        if self.file is None:
            return f"environment variable {self.variable}"
        shown = self.file
        if self.root is not None and self.file.is_relative_to(self.root):
            shown = self.file.relative_to(self.root)
        return f"{shown}:{self.line}" if self.line else str(shown)


@dataclass(frozen=True)
class Value:
    """One layer's word on one key."""

    key: str
    value: Any
    origin: Origin


@dataclass(frozen=True)
class Layers:
    """What every layer says about every key, as it stands at the moment of reading.

    Attributes:
        root: the folder that holds ``config/`` and ``env/``.
        env_target: which target the layers were read for, such as ``local-demo``.
        values: for each key the values of the layers that set it, lowest first.
        variables: names of all environment variables that some file sets, whether the JSON files know the key or not.
        exports: what the Makefile exports to a worker by sourcing ``.env.shared`` and ``.env.{ENV_TARGET}``.
        assigned: for each variable that an env file sets, the value that wins among the env files.
    """

    root: Path
    env_target: str
    values: dict[str, list[Value]] = field(default_factory=dict)
    variables: frozenset[str] = frozenset()
    exports: dict[str, str] = field(default_factory=dict)
    assigned: dict[str, Value] = field(default_factory=dict)

    def effective(self, key: str) -> Value:
        """The value that wins.

        Raises:
            KeyError: no layer sets ``key``.
        """
        return self.values[key][-1]

    def shadowed(self, key: str) -> list[Value]:
        """The values that lost, lowest first."""
        return self.values[key][:-1]


def variable_of(key: str) -> str:
    """The environment variable that overrides a key of the JSON files: ``comfyui-url`` → ``COMFYUI_URL``."""
    return key.replace("-", "_").upper()


def env_files(root: Path, env_target: str) -> dict[Layer, Path]:
    """The three env files of a target, whether they exist or not."""
    folder = root / "env"
    return {
        Layer.ENV_SHARED: folder / ".env.shared",
        Layer.ENV_TARGET: folder / f".env.{env_target}",
        Layer.ENV_OVERRIDE: folder / ".env",
    }


def settings_files(root: Path, env_target: str) -> list[Path]:
    """All files that the settings of a target come from, lowest layer first, whether they exist or not."""
    return [
        root / "config" / "base.json",
        root / "config" / f"{env_target}.json",
        *env_files(root, env_target).values(),
    ]


def read_layers(
    root: Path, env_target: str, environ: Mapping[str, str], expand: Mapping[str, str] | None = None
) -> Layers:
    """Read the files and ``environ`` and join them. Nothing is changed, ``os.environ`` included.

    Args:
        root: the folder that holds ``config/`` and ``env/``.
        env_target: such as ``local-demo``.
        environ: the process environment.
        expand: what ``${NAME}`` in an env file stands for; ``os.environ`` by default.

    Raises:
        UserError: unknown target, unreadable or broken file; names file and line.
    """
    root = root.resolve()
    json_values = [
        *_read_json(root, Layer.BASE_JSON, root / "config" / "base.json"),
        *_read_json(root, Layer.TARGET_JSON, _target_json(root, env_target)),
    ]
    keys = {value.key for value in json_values}
    paths = env_files(root, env_target)
    files = _read_env_files(paths, os.environ if expand is None else expand)

    found: dict[str, list[Value]] = {}
    for value in json_values:
        found.setdefault(value.key, []).append(value)
    for layer in (Layer.ENV_SHARED, Layer.ENV_TARGET, Layer.ENVIRONMENT, Layer.ENV_OVERRIDE):
        for key in keys:
            name = variable_of(key)
            if layer is Layer.ENVIRONMENT:
                if name in environ:
                    found[key].append(Value(key, environ[name], Origin(layer, name)))
            elif name in files[layer]:
                text, line = files[layer][name]
                found[key].append(Value(key, text, Origin(layer, name, paths[layer], line, root)))

    return Layers(
        root=root,
        env_target=env_target,
        values=found,
        variables=frozenset(variable_of(key) for key in keys)
        | frozenset(name for file in files.values() for name in file),
        exports={
            name: text for layer in (Layer.ENV_SHARED, Layer.ENV_TARGET) for name, (text, _) in files[layer].items()
        },
        assigned={
            name: Value(name, text, Origin(layer, name, paths[layer], line, root))
            for layer in paths
            for name, (text, line) in files[layer].items()
        },
    )


def read_env_file(path: Path, expand: Mapping[str, str] | None = None) -> dict[str, tuple[str, int]]:
    """The variables of one env file with the line of each (1 is the first). A missing file has none.

    Args:
        path: the file.
        expand: what ``${NAME}`` stands for that the file has not set itself; ``os.environ`` by default.

    Raises:
        UserError: the file is there but cannot be read, or a line is not ``KEY=value``.
    """
    text = _read_text(path)
    if text is None:
        return {}
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    known = ChainMap(values, dict(os.environ if expand is None else expand))
    for binding in parse_stream(StringIO(text)):
        written = binding.original.string
        blank = written[: len(written) - len(written.lstrip())]
        line = binding.original.line + blank.count("\n")
        if binding.error or (binding.key is not None and (binding.value is None or "=" in binding.key)):
            raise UserError(
                f"{path}:{line} is {written.strip()!r}, expected KEY=value.",
                "Correct that line, or put # before it.",
            )
        if binding.key is not None:
            values[binding.key] = "".join(part.resolve(known) for part in parse_variables(binding.value or ""))
            lines[binding.key] = line
    return {name: (text, lines[name]) for name, text in values.items()}


def _read_env_files(paths: Mapping[Layer, Path], expand: Mapping[str, str]) -> dict[Layer, dict[str, tuple[str, int]]]:
    # A file may use what a lower one sets, as it can where a shell or load_dotenv() reads one after the other.
    known = dict(expand)
    files = {}
    for layer, path in paths.items():
        files[layer] = read_env_file(path, known)
        for name, (text, _) in files[layer].items():
            known.setdefault(name, text)
    return files


def _target_json(root: Path, env_target: str) -> Path:
    path = root / "config" / f"{env_target}.json"
    if not path.exists() and (root / "config" / "base.json").exists():
        known = sorted(file.stem for file in (root / "config").glob("*.json") if file.stem != "base")
        raise UserError(
            f"ENV_TARGET is {env_target!r}, but there is no {path}.",
            f"Use one of: {', '.join(known)}." if known else "Create that file.",
        )
    return path


def _read_json(root: Path, layer: Layer, path: Path) -> Iterator[Value]:
    text = _read_text(path)
    if text is None:
        raise UserError(
            f"There is no {path}.",
            "Run this in the folder that holds config/ and env/; a command with --root can be told of another.",
        )
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}:{error.lineno}:{error.colno} is not JSON: {error.msg}.", "Correct that line."
        ) from error
    if not isinstance(data, dict):
        raise UserError(
            f"{path}:1 holds a {type(data).__name__}, expected an object of keys.", "Put { and } around the keys."
        )
    for key, value in data.items():
        yield Value(key, value, Origin(layer, variable_of(key), path, _line_of_key(text, key), root))


def _line_of_key(text: str, key: str) -> int | None:
    # json keeps no positions; the last one counts when a key stands twice, as it does for json itself.
    found = list(re.finditer(rf"{re.escape(json.dumps(key))}\s*:", text))
    return text.count("\n", 0, found[-1].start()) + 1 if found else None


def _read_text(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{path} cannot be read: {reason}.", "Make it a file that this user may read.") from error
    if "\0" in text:
        # As after a power cut; no variable can hold one.
        raise UserError(f"{path} holds zero bytes, which is no text.", "Write it anew.")
    return text
