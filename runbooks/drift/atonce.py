"""Ask several things at the same time, and wait for none of them longer than the time allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Asked(Generic[T]):
    """A question that has been put in the background.

    Its thread does not keep the process from ending: a name server that does not answer cannot be told to hurry.
    """

    def __init__(self, question: Callable[[], T]) -> None:
        self._question = question
        self._found: list[T] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def answer(self, deadline: float) -> T | None:
        """The answer; None when there is none at ``deadline`` (of ``time.monotonic``)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return self._found[0] if self._found else None

    def _run(self) -> None:
        self._found.append(self._question())
