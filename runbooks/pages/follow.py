"""Read what a step writes while it writes it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

from runbooks.pages.expected import plain_text

Listener = Callable[[str], None]
"""Called with whole lines of output, line ends included; only the last one of a step may have none."""

_TICK_SECONDS = 0.05
_CHUNK = 65536


@contextlib.contextmanager
def follow(descriptor: int, listener: Listener | None) -> Iterator[None]:
    """Hand on to ``listener`` what is written to a file while the block runs, and the rest at its end."""
    if listener is None:
        yield
        return
    ended = threading.Event()
    own = os.dup(descriptor)  # a Ctrl-C while the thread is waited for lets the caller close its one too early
    reader = _Reader(own, listener)
    thread = threading.Thread(target=_read_until, args=(reader, ended), daemon=True, name="page-output")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        reader.read(last=True)
        os.close(own)


def _read_until(reader: _Reader, ended: threading.Event) -> None:
    while not ended.wait(_TICK_SECONDS):
        reader.read()


class _Reader:
    def __init__(self, descriptor: int, listener: Listener) -> None:
        self._descriptor = descriptor
        self._listener = listener
        self._position = 0
        self._rest = b""

    def read(self, *, last: bool = False) -> None:
        while data := os.pread(self._descriptor, _CHUNK, self._position):
            self._position += len(data)
            whole, end, rest = (self._rest + data).rpartition(b"\n")
            if len(rest) > _CHUNK:  # a line without end
                whole, end, rest = whole + end, rest, b""
            self._rest = rest
            if whole or end:
                self._listener(plain_text(whole + end))
        if last and self._rest:
            self._listener(plain_text(self._rest))
            self._rest = b""
