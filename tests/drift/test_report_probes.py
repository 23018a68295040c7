"""Probes of any FastAPI application: truthful, out of its way, and blind to drift."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from starlette.staticfiles import StaticFiles

from runbooks.drift.fastapi import report_settings
from runbooks.drift.healthjson import MEDIA_TYPE
from runbooks.drift.probes import Probes
from runbooks.drift.report import Role
from runbooks.drift.reporter import Identity, Reporter
from tests.adopt.broker import Broker
from tests.support.waiting import wait_until

BY_DEFAULT = Probes()
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


def shop(probes: Probes | None = BY_DEFAULT, redis_url: str | None = NOWHERE, **more: Any) -> FastAPI:
    app = FastAPI(**more)
    report_settings(app, {"url": "http://localhost:1"}, name="shop", redis_url=redis_url, version="7", probes=probes)
    return app


def ask(app: FastAPI, path: str, **headers: str) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop", headers=headers) as client:
            return await client.get(path)

    return asyncio.run(once())


def test_a_process_lives_without_its_broker_and_is_not_ready(broker: Broker) -> None:
    assert ask(shop(), "/livez").status_code == 200
    began = time.perf_counter()
    told = ask(shop(), "/readyz")
    assert time.perf_counter() - began < 1
    assert (told.status_code, told.json()["status"]) == (503, "fail")
    assert "does not answer" in told.json()["output"]
    fine = ask(shop(redis_url=broker.url()), "/readyz")
    assert (fine.status_code, fine.json()["status"]) == (200, "pass")
    assert fine.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_the_draft_is_spoken_on_request_and_the_schema_does_not_know_the_probes(path: str) -> None:
    app = shop()
    told = ask(app, path, accept=MEDIA_TYPE)
    assert told.headers["content-type"] == MEDIA_TYPE
    assert (told.json()["serviceId"], told.json()["releaseId"]) == ("shop", "7")
    assert ask(app, path).headers["content-type"] == "application/json"
    assert app.openapi()["paths"] == {}


@pytest.mark.parametrize("how", ["route", "hidden", "router", "inner router", "mount"])
def test_where_the_application_has_that_route_its_own_wins(how: str) -> None:
    app, router, inner = shop(), APIRouter(), APIRouter(prefix="/livez")
    if how == "route":
        app.get("/livez")(lambda: "own")
    elif how == "hidden":
        app.get("/livez", include_in_schema=False)(lambda: "own")
    elif how == "router":
        router.get("/livez")(lambda: "own")
        app.include_router(router)
    elif how == "inner router":
        inner.get("")(lambda: "own")
        router.include_router(inner)
        app.include_router(router)
    else:
        mounted = FastAPI()
        mounted.get("/")(lambda: "own")
        app.mount("/livez", mounted)
    assert ask(app, "/livez/" if how == "mount" else "/livez").json() == "own"
    assert ask(app, "/readyz").json()["status"] == "fail", "the other one stays"


@pytest.mark.parametrize("before", [True, False])
def test_a_page_for_whatever_path_does_not_hide_a_probe(tmp_path: Path, before: bool) -> None:
    (tmp_path / "index.html").write_text("all is well")
    pages = StaticFiles(directory=tmp_path, html=True)
    app = FastAPI()
    if before:
        app.mount("/", pages)
    report_settings(app, {}, name="shop", redis_url=NOWHERE)
    if not before:
        app.get("/{path:path}")(lambda: "all is well")
    assert ask(app, "/readyz").status_code == 503


def test_paths_are_the_applications_choice(broker: Broker) -> None:
    app = shop(Probes(live="/up", ready=None))
    assert [ask(app, path).status_code for path in ("/up", "/livez", "/readyz")] == [200, 404, 404]
    app = shop(None)
    assert [ask(app, path).status_code for path in ("/livez", "/readyz")] == [404, 404]


def test_a_probe_needs_no_password_of_the_application() -> None:
    def refuse() -> None:
        raise HTTPException(401)

    app = shop(dependencies=[Depends(refuse)])
    assert ask(app, "/health/configuration").status_code == 401
    assert ask(app, "/livez").status_code == 200


def test_what_else_it_cannot_work_without_counts_and_is_not_quoted() -> None:
    def database() -> None:
        raise ConnectionError("hunter2")

    told = ask(shop(Probes(needs_broker=False, also=[database])), "/readyz")
    assert (told.status_code, told.json()["output"]) == (503, "database fails (ConnectionError).")
    assert "hunter2" not in told.text
    assert ask(shop(Probes(needs_broker=False, also=[list])), "/readyz").status_code == 200


@pytest.mark.parametrize(("needs_worker", "status"), [(False, 200), (True, 503)])
def test_where_no_redis_is_named_only_a_worker_can_be_missed(
    needs_worker: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CELERY_BROKER_URL", "BROKER_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    app = shop(Probes(needs_worker=needs_worker), None)
    assert ask(app, "/readyz").status_code == status
    monkeypatch.setenv("REDIS_URL", NOWHERE)
    assert ask(app, "/readyz").status_code == 503, "one is named by now"


def test_a_worker_counts_when_it_was_asked_for_and_works(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    url = broker.url(1)
    app = shop(Probes(needs_worker=True), url)

    def is_ready() -> bool:
        return ask(app, "/readyz").status_code == 200

    assert ask(app, "/readyz").json()["output"] == "No worker reports."
    assert ask(shop(redis_url=url), "/readyz").status_code == 200, "nobody asked for one"
    worker = Reporter({"url": "http://stale:1"}, Identity("shop", Role.MAIN, every=60), url)
    assert worker.beat()
    assert is_ready(), "it is stale, and works"
    monkeypatch.setenv("ENV_TARGET", "another")
    assert not is_ready(), "it works for another target"
    monkeypatch.delenv("ENV_TARGET")
    worker.identity = replace(worker.identity, leaving=True)
    assert worker.beat()
    assert not is_ready(), "it takes no jobs any more"
    worker.identity = replace(worker.identity, leaving=False, every=0.01)
    assert worker.beat()
    wait_until(lambda: not is_ready(), 5, "a silent worker counts")
    worker.leave()
