"""Wait for a condition with a deadline and a message, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float, message: str, interval: float = 0.02) -> T:
    """Call ``condition`` until it returns something true, and return that.

    Raises:
        AssertionError: with ``message`` when ``timeout`` seconds have passed.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s: {message} (last: {value!r})")
        time.sleep(interval)
