"""Recognise a Celery worker by its command line, word by word: never by text that merely occurs in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

DEFAULT_APP = "genonaut.worker.queue_app:celery_app"
"""The Celery application of Genonaut, as its workers are given it with ``-A``."""

_INTERPRETER = re.compile(r"(python|pypy)[\d.]*(t|w|\.exe)?$", re.IGNORECASE)
_INTERPRETER_OPTIONS_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})


@dataclass(frozen=True)
class WorkerCommand:
    """What the command line of a worker says.

    Attributes:
        app: the application as given to ``-A``, such as ``genonaut.worker.queue_app:celery_app``.
        options: the words after ``worker``.
        program: how many words of the command line are the program: 1 (``celery``), 2 (``python celery``) or more.
    """

    app: str
    options: tuple[str, ...]
    program: int

    @property
    def log_file(self) -> str | None:
        """The file given with ``--logfile``; None when the worker logs to its output."""
        return self.value_of("-f", "--logfile")

    @property
    def node(self) -> str:
        """Its node name as it was given, or Celery's own; ``%h`` in it stands for the host."""
        return self.value_of("-n", "--hostname") or "celery@%h"

    def value_of(self, short: str, long: str) -> str | None:
        """The value of an option of ``worker``, however it is written; None when it is not given."""
        return _value_of(self.options, short, long)

    def has_flag(self, short: str, long: str) -> bool:
        """Whether an option without a value is given, ``-B`` also among others, as in ``-EB``."""
        among = re.compile(rf"-[BDE]*{short.removeprefix('-')}[BDE]*") if short else None
        return any(word == long or (among and among.fullmatch(word)) for word in self.options)

    def runs(self, app: str) -> bool:
        """Whether it runs ``app``, or a module of that name inside another package."""
        return self.app == app or self.app.endswith(f".{app}")


def read_command(argv: Sequence[str]) -> WorkerCommand | None:
    """The worker command in a process's command line; None when it is not one.

    A shell that was given such a command as text (``sh -c "celery … worker"``) is not a worker, and neither is
    ``celery -A … inspect``.
    """
    program = _program_length(argv)
    if program == 0:
        return None
    words = list(argv[program:])
    if "worker" not in words:
        return None
    # Everything before the sub-command belongs to celery itself; its options there take a value but for a few flags.
    at = words.index("worker")
    if any(not word.startswith("-") for word in _without_values(words[:at])):
        return None
    app = _value_of(words, "-A", "--app")
    return WorkerCommand(app, tuple(words[at + 1 :]), program) if app else None


def _program_length(argv: Sequence[str]) -> int:
    """How many leading words start Celery: ``celery``, ``python …/celery`` or ``python -m celery``; 0 if none do."""
    if not argv:
        return 0
    if PurePath(argv[0]).name == "celery":
        return 1
    if not _INTERPRETER.fullmatch(PurePath(argv[0]).name):
        return 0
    at = 1
    while at < len(argv) and argv[at].startswith("-") and argv[at] not in ("-m", "-c", "-"):
        at += 2 if argv[at] in _INTERPRETER_OPTIONS_WITH_VALUE else 1
    if list(argv[at : at + 2]) in (["-m", "celery"], ["-m", "celery.__main__"]):
        return at + 2
    if at < len(argv) and (
        PurePath(argv[at]).name == "celery" or PurePath(argv[at]).parts[-2:] == ("celery", "__main__.py")
    ):
        return at + 1
    return 0


def _without_values(words: Sequence[str]) -> list[str]:
    """Celery's own options without the values that stand apart from them."""
    flags = {"-q", "--quiet", "-C", "--no-color", "--skip-checks", "--version", "--help"}
    kept = []
    value_follows = False
    for word in words:
        if value_follows:
            value_follows = False
            continue
        kept.append(word)
        attached = "=" in word if word.startswith("--") else len(word) > 2
        value_follows = word.startswith("-") and word not in flags and not attached
    return kept


def _value_of(words: Sequence[str], short: str, long: str) -> str | None:
    """The value of an option as ``-A x``, ``-Ax``, ``--app x`` or ``--app=x``; the last one counts."""
    found = None
    for at, word in enumerate(words):
        if word and word in (short, long):
            found = words[at + 1] if at + 1 < len(words) else None
        elif word.startswith(f"{long}="):
            found = word.removeprefix(f"{long}=")
        elif short and word.startswith(short) and not word.startswith("--"):
            found = word.removeprefix(short)
    return found
