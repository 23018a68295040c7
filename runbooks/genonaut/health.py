"""What the API's health says of the configuration: which processes there are, and which ComfyUI each of them uses."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runbooks.drift.adapters import Held
from runbooks.drift.health import Watch
from runbooks.drift.report import Report, Role
from runbooks.errors import UserError
from runbooks.genonaut import NAME
from runbooks.genonaut.holding import settings_in_files
from runbooks.settings.layers import settings_files
from runbooks.settings.signature import Signature, signature_of

SHOWN = ("COMFYUI_URL", "COMFYUI_OUTPUT_DIR")
"""What health shows of every process."""
_OF_BOTH = frozenset({"REDIS_URL", "CELERY_BROKER_URL", "DATABASE_URL"})
_OF_THE_API = _OF_BOTH | {"API_HOST", "API_PORT"}


def uses(report: Report, key: str) -> bool:
    """Whether a process does anything with a key: the worker makes the pictures, the API only takes jobs."""
    return key in _OF_THE_API if report.role is Role.API else key not in _OF_THE_API or key in _OF_BOTH


def make_watch(broker_url: str, files: FilesNow | None = None) -> Watch:
    """What looks at all processes of this process's target."""
    env_target = os.environ.get("ENV_TARGET")
    return Watch(broker_url, NAME, env_target=env_target, files=files or files_now(), uses=uses)


def files_now() -> FilesNow:
    """What the files of this process's target say."""
    return FilesNow(Path.cwd(), os.environ.get("ENV_TARGET") or "")


def with_comfyui(process: dict[str, Any]) -> dict[str, Any]:
    """A process of a view as plain values, with its ComfyUI where one looks first: a ``shape`` of ``View.as_json``."""
    settings = process.pop("settings")
    url, folder = (settings.get(key, {"value": None, "origin": None}) for key in SHOWN)
    first = {name: process.pop(name) for name in ("role", "pid", "state")}
    comfyui = {
        "comfyui_url": url["value"],
        "comfyui_url_origin": url["origin"],
        "comfyui_output_dir": folder["value"],
        "comfyui_output_dir_origin": folder["origin"],
    }
    return first | comfyui | process


@dataclass(frozen=True)
class FilesWord:
    """What the files say of ComfyUI, as it stands there: mask it before it is shown.

    Attributes:
        url: ``COMFYUI_URL``.
        url_origin: file and line that say so.
        output_dir: ``COMFYUI_OUTPUT_DIR``.
        output_origin: file and line that say so.
    """

    url: str = field(repr=False)
    url_origin: str | None
    output_dir: str = field(repr=False)
    output_origin: str | None


class FilesNow:
    """What the files say, read again when one of them has changed."""

    def __init__(self, root: Path, env_target: str) -> None:
        self._root, self._env_target = root, env_target
        self._known: tuple[Signature, tuple[Held, ...]] | None = None

    def __call__(self) -> tuple[Held, ...]:
        """What a process would get that is started now.

        Raises:
            UserError: the files cannot be read.
        """
        if not self._env_target:
            raise UserError("ENV_TARGET is not set.", "Say which target you mean: export ENV_TARGET=local-demo")
        # Before reading: an edit in between is then seen at the next look.
        signature = signature_of(settings_files(self._root, self._env_target))
        known = self._known
        if known is None or known[0] != signature:
            known = self._known = (signature, settings_in_files(self._root, self._env_target))
        return known[1]

    def of_comfyui(self) -> FilesWord | None:
        """What they say of ComfyUI; None when they cannot be read."""
        try:
            held = {each.key: each for each in self()}
        except UserError:
            return None
        url, folder = (held[key] for key in SHOWN)
        return FilesWord(url.value, url.origin, folder.value, folder.origin)
