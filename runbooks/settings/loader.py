"""Turn layers into ``Settings``: once (``load_settings``), or once per process (``get_settings``, the pitfall)."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from runbooks.errors import UserError
from runbooks.settings.layers import Layer, Layers, Origin, env_files, read_env_file, read_layers
from runbooks.settings.model import Settings


@dataclass(frozen=True)
class Loaded:
    """Settings together with the layers that they came from."""

    settings: Settings
    layers: Layers

    def origin(self, key: str) -> Origin | None:
        """Where the value of a key came from; None means the default of ``Settings``."""
        return self.layers.effective(key).origin if key in self.layers.values else None


def load_settings(
    root: Path | None = None,
    env_target: str | None = None,
    environ: Mapping[str, str] | None = None,
    expand: Mapping[str, str] | None = None,
) -> Loaded:
    """Read the six layers now and validate them. Nothing is cached and nothing is changed.

    Args:
        root: the folder that holds ``config/`` and ``env/``; the working directory by default.
        env_target: such as ``local-demo``; the variable ``ENV_TARGET`` of ``environ`` by default.
        environ: the process environment; ``os.environ`` by default.
        expand: what ``${NAME}`` in an env file stands for; ``os.environ`` by default.

    Raises:
        UserError: names file, line and key, and what was expected.
    """
    environ = os.environ if environ is None else environ
    target = env_target or environ.get("ENV_TARGET")
    if not target:
        raise UserError("ENV_TARGET is not set.", "Say which target you mean: export ENV_TARGET=local-demo")
    layers = read_layers(root or Path.cwd(), target, environ, expand)
    return Loaded(_validate(layers), layers)


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, as the real application has them.

    This is the pitfall: the first call freezes the values for the life of the process, and a forked pool child inherits
    them. As in the real application it also loads the env files into ``os.environ`` (``.env.shared`` and
    ``.env.{ENV_TARGET}`` without, ``env/.env`` with override), so that even ``get_settings.cache_clear()`` does not
    forget a value that came from there.

    Raises:
        UserError: as ``load_settings``.
    """
    loaded = load_settings()
    export_env_files(loaded.layers.root, loaded.layers.env_target, os.environ)
    return loaded.settings


def export_env_files(root: Path, env_target: str, environ: MutableMapping[str, str]) -> None:
    """Load the three env files into ``environ`` in the order of the real application."""
    files = env_files(root, env_target)
    for layer in (Layer.ENV_TARGET, Layer.ENV_SHARED):
        for name, (text, _) in read_env_file(files[layer]).items():
            environ.setdefault(name, text)
    environ.update({name: text for name, (text, _) in read_env_file(files[Layer.ENV_OVERRIDE]).items()})


def _validate(layers: Layers) -> Settings:
    try:
        return Settings.model_validate({key: layers.effective(key).value for key in layers.values})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        if key not in layers.values:
            raise UserError(f"No layer sets {key}.", f"Add it to {layers.root / 'config' / 'base.json'}.") from error
        value = layers.effective(key)
        expected = first["msg"].removeprefix("Value error, ")
        raise UserError(
            f"{value.origin}: {key} is {value.value!r}; {expected[0].lower()}{expected[1:]}.",
            "Correct that value.",
        ) from error
