"""Which variables of this process belong to the env files, and which somebody exported.

A Makefile that sources ``env/.env.shared`` and ``env/.env.{ENV_TARGET}`` exports what they said when the worker was
started. Such a value belongs to its file: when the file changes, it has to follow. A value that differs from what the
files said at the start was exported by somebody else, and stays above them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, MutableMapping

from runbooks.settings.layers import Layer, Layers

OWNED = "CONFIG_RELOAD_OWNED"
"""Names and digests of what the files own: after SIGHUP a worker begins again with the environment that it had."""

# What they were before a Makefile put a file's value over them cannot be known, and no process does without them.
_NEVER_TAKEN_AWAY = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TMPDIR"})


class Ownership:
    """The environment of this process, divided, and kept as that of a process that is started now.

    Attributes:
        exported: what was exported by somebody else than the files.
    """

    def __init__(self, environ: MutableMapping[str, str], at_start: Layers) -> None:
        """Divide ``environ`` by what the files say.

        Args:
            environ: this process's environment, before any env file was loaded into it.
            at_start: the files as they stand now.
        """
        self._environ = environ
        recorded = _recorded(environ.get(OWNED))
        self._given = {
            name: text
            for name, text in environ.items()
            if at_start.exports.get(name) == text or recorded.get(name) == _digest(text)
        }
        self.exported: Mapping[str, str] = {
            name: text for name, text in environ.items() if name not in self._given and name != OWNED
        }

    def follow(self, layers: Layers) -> None:
        """Give the environment what the env files say now, and take away what they no longer say.

        As ``load_dotenv`` does at the start: ``env/.env`` wins over what was exported, the other two do not. What the
        application has set itself meanwhile is left alone.

        Raises:
            ValueError: the environment cannot hold a value; those before it are in place.
        """
        given = {
            name: str(value.value)
            for name, value in layers.assigned.items()
            if value.origin.layer is Layer.ENV_OVERRIDE or name not in self.exported
        }
        for name in self._given.keys() | given.keys():
            ours = self._given.get(name, self.exported.get(name))
            if self._environ.get(name) == ours:
                self._put(name, given.get(name, self.exported.get(name)))
            self._note(name, given.get(name))
        self._environ[OWNED] = json.dumps({name: _digest(text) for name, text in sorted(given.items())})

    def _note(self, name: str, text: str | None) -> None:
        if text is None:
            self._given.pop(name, None)
        else:
            self._given[name] = text

    def _put(self, name: str, text: str | None) -> None:
        if text is None:
            if name not in _NEVER_TAKEN_AWAY:
                self._environ.pop(name, None)
        elif self._environ.get(name) != text:
            self._environ[name] = text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _recorded(text: str | None) -> Mapping[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
