"""Whether the server that runs this process has been told to stop: it waits for all streams, and tells none of them."""

from __future__ import annotations

import signal


def server_is_stopping() -> bool:
    """Whether Uvicorn in this process has been told to stop. False under a server that ends its streams by itself.

    Uvicorn's handler of both signals is a method of its server, which has ``should_exit`` (as of 0.54).
    """
    servers = (getattr(signal.getsignal(number), "__self__", None) for number in (signal.SIGTERM, signal.SIGINT))
    return any(getattr(server, "should_exit", False) is True for server in servers)
