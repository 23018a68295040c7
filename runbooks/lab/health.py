"""Whether the services of a lab answer."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from runbooks.lab.backends import broker_answers
from runbooks.lab.state import LabState, Service


@dataclass(frozen=True)
class Health:
    """One service at this moment.

    Attributes:
        service: what it is; its process is None when it has ended, or was never ours.
        since: when its process was created, seconds since the epoch.
        answers: whether it answers.
        problem: why it does not, in words.
    """

    service: Service
    since: float | None
    answers: bool
    problem: str | None = None


def look_at_services(state: LabState, services: tuple[Service, ...]) -> list[Health]:
    """Ask every service at the same time; the worker over the broker, within a second or so.

    Args:
        state: the lab.
        services: its services as they are now.
    """
    with ThreadPoolExecutor(len(services) or 1) as pool:
        return list(pool.map(lambda service: _look(state, service), services))


def http_ok(url: str, path: str = "/", timeout: float = 1.0) -> bool:
    """Whether a server answers ``GET path`` with status 200 within ``timeout`` seconds. No proxy is asked."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _look(state: LabState, service: Service) -> Health:
    since = service.process.created if service.process else None
    if service.process is None and service.log is not None:
        return Health(service, None, False, f"its process has ended; see {service.log}")
    broker = state.environment["REDIS_URL"]
    answers: Callable[[], bool] = {
        "broker": lambda: broker_answers(broker),
        "worker": lambda: worker_answers(broker, service.pid or 0),
        "api": lambda: http_ok(service.url, "/api/v1/health"),
    }.get(service.name, lambda: http_ok(service.url))
    if answers():
        return Health(service, since, True)
    where = f"; see {service.log}" if service.log else ""
    return Health(service, since, False, f"runs and does not answer{where}" if since else "does not answer")


def worker_answers(broker: str, pid: int) -> bool:
    """Whether the worker with this main process answers over the broker within a second."""
    from runbooks.workers.ask import node_of

    return broker_answers(broker) and node_of(broker, pid) is not None
