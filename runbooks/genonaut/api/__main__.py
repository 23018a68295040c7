"""Start the API: ``python -m runbooks.genonaut.api`` in the folder that holds ``config/`` and ``env/``."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress

import uvicorn

from runbooks.drift.web.live import Live
from runbooks.errors import UserError, exit_on_user_error
from runbooks.genonaut.api.app import create_app
from runbooks.settings import current_settings


def main() -> None:
    """Serve until SIGTERM or Ctrl-C. Exits with 2 and one sentence when it cannot start."""
    with exit_on_user_error():
        settings = current_settings()
        _check_port(settings.api_host, settings.api_port)
        app = create_app()
    # Loads Celery's transport and learns early whether the broker is there, while the server already starts.
    threading.Thread(target=app.state.queue.worker_answers, daemon=True).start()
    # Open connections may finish their request; nobody waits longer than two seconds for them.
    config = uvicorn.Config(app, host=settings.api_host, port=settings.api_port, timeout_graceful_shutdown=2)
    server = Server(config, app.state.live)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        # As uvicorn does.
        sys.exit(3)


class Server(uvicorn.Server):
    """Ends the streams of the status page first: they never end by themselves, and would be waited for."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As the base class does."""
        self._live.end()
        await super().shutdown(sockets)


def _check_port(host: str, port: int) -> None:
    # Uvicorn would find out as well, after the start is done, and leave with exit code 1 and its own words.
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"The API cannot listen on {host}:{port}: {reason}.",
            "Stop what listens there, or set API_HOST and API_PORT.",
        ) from error


if __name__ == "__main__":
    main()
