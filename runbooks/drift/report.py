"""What a process says of itself: who it is, and the settings that it really uses, in a form that may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter

LARGEST = 64 * 1024
"""Bytes that a report may have, written or read."""
_MISSED = 2.5
"""Beats that a process may miss before it counts as silent: one may be late, two in a row are not chance."""


class Role(StrEnum):
    """What a process is for."""

    API = "api"
    MAIN = "worker main"
    CHILD = "pool child"

    @property
    def rank(self) -> int:
        """The order in which processes are shown: the API first."""
        return _RANKS[self]


_RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True)
class Setting:
    """One setting as a process uses it.

    Attributes:
        key: its name, such as ``COMFYUI_URL``.
        value: as it may be shown; ``****`` when it may be a secret.
        origin: where it came from (``env/.env:3``, ``environment variable COMFYUI_URL``, ``default``); None when that
            is not known.
        fingerprint: equal for equal values, also of secrets; see ``Salt``.
    """

    key: str
    value: str
    origin: str | None
    fingerprint: str


@dataclass(frozen=True)
class Report:
    """One process, as of its last word. Times are those of the broker's clock, so that no other one matters.

    Attributes:
        id: its name in the broker. No two processes share one, though pids are used again.
        app: name of the application, as it was adopted under.
        role: API, worker's main process or pool child.
        host: name of its machine.
        machine: equal for processes whose pids may be compared: same machine, same start of it, same container.
        pid: process id.
        parent: for a pool child its main process; else the process that started it.
        started: when it was started.
        every: seconds between two words of it.
        version: of the application, where it says so.
        env_target: its ``ENV_TARGET``.
        node: a worker's node name, such as ``celery@host``.
        pool: a worker's kind of pool: ``prefork``, ``threads``, ``solo``.
        queues: what a worker's main process takes jobs from. A pool child gets its jobs from main.
        children: pids of a main process's pool children, as it knows them.
        leaving: whether it has been told to stop, and takes no new jobs.
        loaded: since when it holds these settings; None when it has not read any yet.
        settings: what it uses, by key.
        problem: why its settings are not all that they should be; quotes no value.
        salt: which salt the fingerprints were made with; those of different salts cannot be compared.
        last_word: when it was last heard of.
        age: seconds since then, when this was read.
    """

    id: str
    app: str
    role: Role
    host: str
    machine: str
    pid: int
    parent: int
    started: datetime
    every: float
    version: str | None
    env_target: str | None
    node: str | None
    pool: str | None
    queues: tuple[str, ...]
    children: tuple[int, ...]
    leaving: bool
    loaded: datetime | None
    settings: tuple[Setting, ...]
    problem: str | None
    salt: str
    last_word: datetime | None = None
    age: float = 0.0

    @property
    def label(self) -> str:
        """The process in words, such as ``worker main 4711`` or ``API 4700``."""
        return f"{'API' if self.role is Role.API else self.role} {self.pid}"

    @property
    def silent(self) -> bool:
        """Whether it should have spoken again by now: it is stopped, blocked, gone, or cannot reach the broker."""
        return self.age > _MISSED * self.every

    @cached_property
    def profile(self) -> tuple[tuple[str, str], ...]:
        """Keys and fingerprints: equal for processes that hold the same."""
        return tuple((setting.key, setting.fingerprint) for setting in self.settings)

    @cached_property
    def order(self) -> tuple[int, datetime, int]:
        """By role, and then by age of the process."""
        return self.role.rank, self.started, self.pid

    @cached_property
    def by_key(self) -> Mapping[str, Setting]:
        """Its settings by their names."""
        return {setting.key: setting for setting in self.settings}

    @cached_property
    def forms(self) -> dict[object, dict[str, Any]]:
        """What a reader has made of it, to be made once: a report stays the same from word to word."""
        return {}

    def setting(self, key: str) -> Setting | None:
        """What it holds of a key; None when it has said nothing of it."""
        return self.by_key.get(key)

    def heard(self, at: datetime, now: datetime) -> Report:
        """The same report with the time of its last word.

        Args:
            at: of the word, by the broker's clock.
            now: the time of reading, by the same clock.
        """
        # As replace() does, at a tenth of its price: this is done for a thousand of them at once, many times a minute.
        same = object.__new__(Report)
        age = max((now - at).total_seconds(), 0.0)
        for kept in _KEPT:
            getattr(self, kept)
        same.__dict__.update(self.__dict__, last_word=at, age=age)
        return same


_KEPT = ("profile", "by_key", "order", "forms")
_FORM = TypeAdapter(Report)


def to_json(report: Report) -> bytes:
    """The report as it is kept, at most ``LARGEST`` bytes: one that is larger goes without its settings."""
    form = _FORM.dump_json(report, exclude={"last_word", "age"})
    if len(form) > LARGEST:
        problem = f"its {len(report.settings)} settings are more than a report can hold"
        form = _FORM.dump_json(replace(report, settings=(), problem=problem), exclude={"last_word", "age"})
    return form


def from_json(form: bytes) -> Report:
    """Read what ``to_json`` wrote.

    Raises:
        ValueError: it is none, or too large.
    """
    if len(form) > LARGEST:
        raise ValueError(f"{len(form)} bytes are more than a report has")
    return _FORM.validate_json(form)
