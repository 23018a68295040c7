"""The status page of an application that has nothing of ours but the two lines, each in its API and its worker."""

from __future__ import annotations

import json
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from runbooks.drift.report import Role
from tests.adopt.shop_processes import GREETING, NEW, OLD, PASSWORD, Shop
from tests.support.browser import all_faults, axe, browser, context, open_page
from tests.support.waiting import wait_until

__all__ = ["axe", "browser", "context"]

pytestmark = pytest.mark.e2e

STALE = "The worker holds an older value than another process"


@pytest.fixture(scope="module")
def incident(open_shop: Callable[..., Shop]) -> Iterator[tuple[Shop, int, httpx.Client]]:
    """A shop whose worker holds what its file said before the last edit; its API has been started since."""
    shop = open_shop()
    main = shop.start_worker("prefork")
    shop.done(shop.send())
    shop.wait_for(lambda reports: any(report.settings for report in reports), "what the worker holds is not reported")
    shop.write(NEW)
    with shop.start_api() as api:
        api.get("/warehouse")
        shop.wait_for(lambda reports: sum(bool(each.settings) for each in reports) == 2, "the API does not report")
        yield shop, main, api


def seen_by(api: httpx.Client) -> dict[str, Any]:
    seen: dict[str, Any] = api.get("/status.json").json()
    return seen


def test_the_stale_worker_is_named_with_key_both_values_both_origins_and_a_page(
    incident: tuple[Shop, int, httpx.Client],
) -> None:
    shop, main, api = incident
    seen = seen_by(api)
    assert (seen["status"], seen["output"], seen["name"]) == ("warn", f"{STALE}.", "shop")
    roles = [process["role"] for process in seen["processes"]]
    assert roles == ["api", "worker main", "pool child", "pool child"]
    assert all(process["last_word"] and process["started"] for process in seen["processes"])
    (stale,) = [process for process in seen["processes"] if process["stale"]]
    assert (stale["role"], stale["parent"], stale["stale"]) == ("pool child", main, ["warehouse_url"])
    assert seen["processes"][0]["differs"] == ["warehouse_url"]
    assert seen["services"]["broker"]["state"] == "up"
    assert seen["services"]["broker"]["url"] == shop.redis_url

    (finding,) = seen["findings"]
    says = f"holds warehouse_url={OLD} (shop.env:1), API {seen['processes'][0]['pid']} holds {NEW} (shop.env:1)."
    assert finding["what"] == f"1 pool child of worker main {main} {says}"
    assert finding["cure"] == f"Restart worker main {main}."
    assert finding["url"].endswith("/runbooks/restart-the-worker/")
    html = api.get("/status", headers={"Accept": "text/html"}).text
    for text in (STALE, finding["what"], finding["cure"], finding["url"], "▲</span> stale</span>", "Last word"):
        assert text in html
    assert api.get("/status", headers={"Accept": "application/json"}).json()["status"] == "warn"


def test_no_secret_is_shown_and_the_page_is_not_part_of_the_schema(incident: tuple[Shop, int, httpx.Client]) -> None:
    _shop, _main, api = incident
    said = api.get("/status").text + api.get("/status.json").text
    with api.stream("GET", "/status/events?as=html") as events:
        said += next(text for text in events.iter_text() if "data:" in text)
    assert "api_password" in said
    assert not [secret for secret in (PASSWORD, GREETING) if secret in said]
    assert list(api.get("/openapi.json").json()["paths"]) == ["/warehouse"]


def test_jobs_that_wait_are_counted_in_every_priority(incident: tuple[Shop, int, httpx.Client]) -> None:
    shop, _main, api = incident
    assert seen_by(api)["queues"] == {"celery": 0}
    # A list that no worker looks at, as it is of a priority that the shop does not use.
    shop.client.rpush("celery\x06\x165", "a job")
    try:
        assert seen_by(api)["queues"] == {"celery": 1}
    finally:
        shop.client.delete("celery\x06\x165")


def test_json_takes_less_than_ten_milliseconds(incident: tuple[Shop, int, httpx.Client]) -> None:
    _shop, _main, api = incident
    seconds = []
    for _ in range(50):
        began = time.perf_counter()
        seen_by(api)
        seconds.append(time.perf_counter() - began)
    assert statistics.median(seconds) < 0.01


def test_the_page_in_a_browser_follows_the_worker_and_axe_finds_nothing(
    incident: tuple[Shop, int, httpx.Client], context: BrowserContext, axe: str
) -> None:
    shop, main, api = incident
    complaints: list[str] = []
    context.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page, foreign = open_page(context, str(api.base_url).rstrip("/"), "/status")
    expect(page.get_by_text("Live: this page follows every change.")).to_be_visible()
    expect(page.locator(".verdict")).to_contain_text(STALE)
    _what_is_unfolded_stays_so(page)
    assert "\n".join(all_faults(page, axe)) == ""
    assert page.title() == "Status · shop"

    os.kill(main, signal.SIGTERM)
    expect(page.locator(".verdict")).to_contain_text("All is well.", timeout=15_000)
    expect(page.get_by_text("No worker reports.").first).to_be_visible()
    shop.start_worker("prefork", name="again")
    expect(page.locator("article", has_text="Main process")).to_be_visible(timeout=15_000)
    shop.done(shop.send())
    expect(page.locator(".children")).to_contain_text("Holds what the others hold.", timeout=15_000)
    assert (foreign, complaints) == ([], [])


def _what_is_unfolded_stays_so(page: Page) -> None:
    unfolded = page.locator("details").first
    unfolded.locator("summary").click()
    before = page.locator(".ago").first.get_attribute("data-age")
    page.wait_for_function(
        "before => document.querySelector('.ago').dataset.age !== before", arg=before, timeout=10_000
    )
    assert unfolded.get_attribute("open") is not None


def test_the_api_ends_while_somebody_watches(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    with shop.start_api() as api, api.stream("GET", "/status/events") as events:
        texts = events.iter_text()
        told = next(text for text in texts if "data:" in text)
        assert json.loads(told.partition("data: ")[2].splitlines()[0])["name"] == "shop"
        (report,) = shop.wait_for(lambda reports: len(reports) == 1, "the API does not report")
        os.kill(report.pid, signal.SIGTERM)
        began = time.monotonic()
        for _ in texts:
            assert time.monotonic() - began < 3, "the API waits for who watches"
        wait_until(lambda: not shop.reports(Role.API), 5, "the API stays")
        assert time.monotonic() - began < 3
    assert "Traceback" not in shop.log("api.log")


def test_an_own_page_wins_and_that_is_said_at_the_start(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    with shop.start_api({"OWN_STATUS": "1"}, app="api_with_own_pages:app") as api:
        assert api.get("/status").json() == "our own"
        assert api.get("/status.json").json() == "shop status.json"
        assert "/status is the application's own, so the status page is not served." in shop.log("api.log")


def test_it_stands_in_front_of_a_page_for_whatever_path_and_behind_what_is_asked_first(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop()
    with shop.start_api(app="api_with_own_pages:app") as api:
        paths = ("/status", "/status.json", "/status/events", "/status/static/pages.css", "/health/configuration")
        assert [api.get(path).status_code for path in paths] == [401] * 5
        login = {"X-Login": "let me in"}
        assert "<title>Status · shop</title>" in api.get("/status", headers=login).text
        assert api.get("/status/static/pages.css", headers=login).headers["content-type"].startswith("text/css")
        assert api.get("/status/static/nothing.css", headers=login).status_code == 404
        assert api.get("/livez").status_code == 200
        assert api.get("/anything").json() == "shop anything"


def test_without_jinja_the_page_says_what_to_install_and_all_else_works(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    # Found before the one that is installed, and as good as none.
    (shop.root / "jinja2.py").write_text("raise ModuleNotFoundError('No module named jinja2', name='jinja2')\n")
    with shop.start_api() as api:
        told = api.get("/status")
        assert told.status_code == 503
        assert "pip install 'genonaut-runbooks[status]'" in told.text
        assert seen_by(api)["name"] == "shop"
        assert api.get("/livez").status_code == 200
    assert "Traceback" not in shop.log("api.log")
