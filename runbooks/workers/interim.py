"""The interim worker of a handover: the old command line with a node name and a queue of its own, and back again.

Both stand as two words at the very end, where Celery lets them win over ``-n``, ``-Q`` and ``--queues`` before them. So
whoever finds such a worker later knows the command line that it came from, and none ever grows.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from runbooks.workers.command import read_command

PREFIX = "runbooks-handover-"
"""How the node name and the queue of an interim worker begin."""

_NODE = f"--hostname={PREFIX}"
_QUEUE = f"--queues={PREFIX}"


def new_name() -> str:
    """A name that no worker and no queue has."""
    return PREFIX + secrets.token_hex(4)


def interim_argv(argv: Sequence[str], name: str) -> tuple[str, ...]:
    """The command line of a worker of node name ``name`` that takes no jobs but those of the queue ``name``."""
    return (*original_argv(argv), f"--hostname={name}@%h", f"--queues={name}")


def original_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """The command line that an interim worker was made from; that of any other worker as it is."""
    words = tuple(argv)
    if len(words) > 2 and words[-2].startswith(_NODE) and words[-1].startswith(_QUEUE):
        return words[:-2]
    return words


def why_not_twice(argv: Sequence[str]) -> str | None:
    """Why two workers with this command line cannot run side by side for a moment; None when they can."""
    command = read_command(argv)
    if command is None:
        return "its command line is not understood"
    if command.has_flag("-B", "--beat"):
        return "it runs the beat (-B), which would send every scheduled job twice"
    if command.has_flag("", "--purge") or command.has_flag("", "--discard"):
        return "it empties its queues at its start (--purge)"
    for short, long in (("", "--pidfile"), ("-S", "--statedb")):
        file = command.value_of(short, long)
        # %n and %N are made of the node name, which differs.
        if file is not None and "%n" not in file.lower():
            return f"two workers cannot share the file of {long} ({file})"
    return None
