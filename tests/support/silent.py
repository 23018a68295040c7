"""What does not answer: addresses (``host:port``) on which whoever asks would wait for ever."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def a_server_that_is_silent() -> Iterator[str]:
    """It takes connections and says nothing."""
    with socket.socket() as hung:
        hung.bind(("127.0.0.1", 0))
        hung.listen()
        yield f"127.0.0.1:{hung.getsockname()[1]}"


@contextmanager
def a_name_server_that_is_silent() -> Iterator[str]:
    """Asking for an address does not end before the test does."""
    over = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda *_args, **_more: over.wait(20) and [])
        yield "far.example:6379"
        over.set()
