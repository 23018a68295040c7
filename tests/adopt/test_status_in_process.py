"""The status page of an application in this very process: other paths, no Redis, and files that are known."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from runbooks.drift.fastapi import report_settings
from runbooks.drift.probes import Probes
from runbooks.errors import UserError
from tests.adopt.shop_processes import NEW, OLD

NOBODY = "redis://127.0.0.1:1/0"


def answers(app: FastAPI, *paths: str, starts: bool = False) -> list[httpx.Response]:
    """What an application answers; if it starts, as soon as its own report has come."""

    async def ask() -> list[httpx.Response]:
        async with AsyncExitStack() as stack, asyncio.timeout(10):
            if starts:
                await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app)
            client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://shop"))
            while starts and not (await client.get("/status.json")).json()["processes"]:
                await asyncio.sleep(0.02)
            return [await client.get(path) for path in paths]

    return asyncio.run(ask())


def app_with(redis_url: str | None, **options: Any) -> FastAPI:
    app = FastAPI()
    report_settings(app, {"warehouse_url": OLD}, name="shop", redis_url=redis_url, **options)
    return app


@pytest.mark.e2e
def test_where_the_files_are_known_a_process_is_stale_for_certain(redis_url: str) -> None:
    app = app_with(redis_url, now=lambda: {"warehouse_url": NEW}, probes=Probes(needs_worker=True), warn=False)
    seen, page = answers(app, "/status.json", "/status", starts=True)
    assert [(each["id"], each["severity"], each["certainty"]) for each in seen.json()["findings"]] == [
        ("worker-none", "problem", "certain"),
        ("api-stale", "warning", "certain"),
    ]
    assert f"holds warehouse_url={OLD} (origin unknown), the files say {NEW} (origin unknown)." in page.text
    assert "Holds an older value of warehouse_url than the files." in page.text
    assert "No worker reports. Nobody takes jobs." in page.text
    assert answers(app, "/status.json", starts=True)[0].json()["processes"], "a second start finds nothing"


@pytest.mark.e2e
def test_a_broker_that_only_settings_name_is_found_before_anybody_has_read_them(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REDIS_URL", "CELERY_BROKER_URL", "BROKER_URL"):
        monkeypatch.delenv(name, raising=False)

    @lru_cache
    def get_settings() -> dict[str, str]:
        return {"redis_url": redis_url}

    app = FastAPI()
    report_settings(app, get_settings, name="shop")
    (seen,) = answers(app, "/status.json", starts=True)
    assert [each["role"] for each in seen.json()["processes"]] == ["api"]
    assert get_settings.cache_info().currsize == 0, "looking has frozen the values"


@pytest.mark.parametrize(
    ("redis_url", "finding", "says"),
    [(NOBODY, "broker-down", "does not answer"), (None, "broker-refused", "No Redis server is named")],
)
def test_without_a_broker_the_page_says_what_is_missing(
    redis_url: str | None, finding: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REDIS_URL", "CELERY_BROKER_URL", "BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    seen, page = answers(app_with(redis_url), "/status.json", "/status")
    assert (seen.json()["status"], [each["id"] for each in seen.json()["findings"]]) == ("fail", [finding])
    assert page.status_code == 200
    assert "Not working." in page.text
    assert says in page.text
    assert "Nothing is known of it while the broker does not answer." in page.text


def test_another_path_is_linked_as_seen_from_the_page_and_none_serves_nothing() -> None:
    page, old, style = answers(
        app_with(NOBODY, status="/ops/state"), "/ops/state", "/status", "/ops/state/static/pages.css"
    )
    links = re.findall(r'(?:href|src|data-events)="([^"]+)"', page.text)
    own = {link for link in links if not link.startswith(("http://127.0.0.1:8010/", "#"))}
    assert own == {
        "state",
        "state.json",
        "state/events?as=html",
        "state/static/mark.svg",
        "state/static/pages.css",
        "state/static/pages.js",
    }
    assert (old.status_code, style.status_code) == (404, 200)
    assert [each.status_code for each in answers(app_with(NOBODY, status=None), "/status", "/status.json")] == [404] * 2


@pytest.mark.parametrize("path", ["status", "/", ""])
def test_a_path_where_it_cannot_stand_is_refused(path: str) -> None:
    with pytest.raises(UserError, match="The status page cannot stand at"):
        app_with(NOBODY, status=path)
