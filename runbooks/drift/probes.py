"""Probes for what supervises an application: ``/livez`` (the process serves) and ``/readyz`` (it can do its work).

Neither knows of drift: a stale worker is a reason to restart the worker, and none to take the API out of service.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from runbooks.drift.answering import health_response
from runbooks.drift.health import PATIENCE, Status
from runbooks.drift.healthjson import Check
from runbooks.drift.ownroutes import has_another
from runbooks.drift.presence import still_there
from runbooks.drift.report import Report, Role
from runbooks.drift.reports import ReportsUnavailableError, Shelf


@dataclass(frozen=True)
class Probes:
    """Where an application answers its probes, and what it cannot work without.

    Attributes:
        live: path of the one that answers 200 as long as the process serves; None for none.
        ready: path of the one that answers 200 when the application can do its work, else 503; None for none.
        needs_broker: whether it cannot work without the broker that its reports are kept in.
        needs_worker: whether it cannot work without a worker. A stale one is enough, and so is a busy one.
        also: functions that raise when something else is missing that the application cannot work without, such as
            its database. They are called at each probe, in a thread.
    """

    live: str | None = "/livez"
    ready: str | None = "/readyz"
    needs_broker: bool = True
    needs_worker: bool = False
    also: Sequence[Callable[[], object]] = ()


def serve_probes(
    app: FastAPI,
    probes: Probes,
    name: str,
    address: Callable[[], str | None],
    version: str | None = None,
) -> None:
    """Answer the probes, unless the application has a route of that very path itself.

    Args:
        app: the application.
        probes: which.
        name: under which it reports.
        address: says where reports are kept; None as long as nobody has named a Redis server.
        version: of the application.
    """
    needs = _Needs(probes, name, address)

    async def live(request: Request) -> Response:
        # In the event loop: it is what serves, and a full pool of threads is no reason to be killed.
        return health_response(request, (), serviceId=name, releaseId=version)

    def ready(request: Request) -> Response:
        return health_response(request, needs.checks(), serviceId=name, releaseId=version)

    for path, endpoint in ((probes.live, live), (probes.ready, ready)):
        if path is not None:
            # In front: an application that serves one page for whatever path would seem to be well for ever.
            app.router.routes.insert(0, _Probe(app, path, endpoint))


class _Probe(Route):
    """Outside of the schema, and of the application's own dependencies: a probe has no password to show."""

    def __init__(self, app: FastAPI, path: str, endpoint: Callable[[Request], object]) -> None:
        super().__init__(path, endpoint, methods=["GET"], include_in_schema=False)
        self._served = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found, child = super().matches(scope)
        if found is not Match.NONE and has_another(self._served, self.path, [self]):
            return Match.NONE, {}
        return found, child


class _Needs:
    """What an application cannot work without, and whether it is there."""

    def __init__(self, probes: Probes, name: str, address: Callable[[], str | None]) -> None:
        self._probes, self._name, self._address = probes, name, address
        self._shelf: Shelf | None = None

    def checks(self) -> Iterator[Check]:
        """One check for each thing; ``fail`` where it is missing."""
        if self._probes.needs_broker or self._probes.needs_worker:
            yield from self._broker_and_worker()
        for look in self._probes.also:
            yield _also(look)

    def _broker_and_worker(self) -> Iterator[Check]:
        reports, why = self._read()
        # Where no server was ever named, nothing is known to be missing.
        without = Status.FAIL if self._probes.needs_worker or self._shelf is not None else Status.WARN
        yield Check("broker:connection", without if why else Status.PASS, why, "datastore")
        if self._probes.needs_worker and not why:
            fine = any(self._works(report) for report in reports)
            yield Check("worker:presence", Status.PASS if fine else Status.FAIL, "" if fine else "No worker reports.")

    def _read(self) -> tuple[Iterable[Report], str]:
        """All reports, or why there are none."""
        try:
            if self._shelf is None:
                address = self._address()
                if address is None:
                    return (), "No Redis server is named that keeps reports."
                self._shelf = Shelf(address, self._name, patience=PATIENCE)
            return still_there(self._shelf.read().reports), ""
        except ReportsUnavailableError as error:
            return (), error.what

    def _works(self, report: Report) -> bool:
        # Its pool children may be silent because they are busy, so they are not asked.
        mine = report.role is Role.MAIN and report.env_target == os.environ.get("ENV_TARGET")
        return mine and not (report.silent or report.leaving)


def _also(look: Callable[[], object]) -> Check:
    what = getattr(look, "__name__", type(look).__name__)
    try:
        look()
    except Exception as error:  # the application's own; its text may quote a value
        return Check(f"{what}:check", Status.FAIL, f"{what} fails ({type(error).__name__}).")
    return Check(f"{what}:check", Status.PASS)
