"""What a restart tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One word on how far it is.

    Attributes:
        phase: ``stop``, ``start``, ``answer`` or ``prove``.
        seconds: since that phase began.
        says: what is being waited for or what was reached, in words.
        done: whether the phase is over.
    """

    phase: str
    seconds: float
    says: str
    done: bool = False


Listener = Callable[[Progress], None]
"""What is called with each thing that happens during a restart."""


def silent(progress: Progress) -> None:
    """Listen to nothing."""
