"""Start the API: ``python -m runbooks.genonaut.api`` in the folder that holds ``config/`` and ``env/``."""

from __future__ import annotations

import socket
import threading

import uvicorn

from runbooks.errors import UserError
from runbooks.genonaut.api.app import create_app
from runbooks.genonaut.startup import exit_on_user_error
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
    uvicorn.run(app, host=settings.api_host, port=settings.api_port, timeout_graceful_shutdown=2)


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
