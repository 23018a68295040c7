"""Two lines in a FastAPI application and two in a Celery one: what every process runs with is known."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest

from runbooks.drift.health import PAGE
from runbooks.drift.report import Report, Role
from runbooks.drift.reporter import Identity, Reporter
from tests.adopt.shop_processes import GREETING, NEW, OLD, PASSWORD, Shop
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


def url_of(report: Report) -> str | None:
    setting = report.setting("warehouse_url")
    return setting.value if setting else None


@pytest.fixture(scope="module")
def shop(open_shop: Callable[..., Shop]) -> Shop:
    return open_shop()


@pytest.fixture(scope="module")
def main(shop: Shop) -> int:
    return shop.start_worker("prefork")


@pytest.fixture(scope="module")
def api(shop: Shop, main: int) -> Iterator[httpx.Client]:
    with shop.start_api() as client:
        yield client


def test_every_process_reports_once_it_has_read_its_settings_and_looking_reads_nothing(
    shop: Shop, main: int, api: httpx.Client
) -> None:
    found = shop.wait_for(lambda reports: len(reports) == 4, "API, main and two children do not report")
    assert [report.role for report in found] == [Role.API, Role.MAIN, Role.CHILD, Role.CHILD]
    assert {report.pid for report in found if report.role is Role.MAIN} == {main}
    assert all(report.parent == main for report in found if report.role is Role.CHILD)
    assert all(report.settings == () and report.loaded is None for report in found), "nobody has read any yet"

    child, url = shop.done(shop.send()).split()
    assert api.get("/warehouse").json() == url == OLD
    holders = shop.wait_for(
        lambda reports: sum(url_of(report) == OLD for report in reports) == 2, "what was read is not reported"
    )
    assert {report.pid for report in holders if url_of(report)} > {int(child)}
    (setting,) = {report.setting("warehouse_url") for report in holders if url_of(report)}
    assert setting is not None
    assert setting.origin == "shop.env:1"
    (told,) = [report for report in found if report.role is Role.MAIN]
    assert (told.pool, told.queues, told.app) == ("prefork", ("celery",), "shop")
    assert told.node
    assert told.node.startswith("w@")


def test_a_child_that_reads_a_newer_value_disagrees_and_health_says_so(
    shop: Shop, main: int, api: httpx.Client
) -> None:
    reader = int(shop.done(shop.send()).split()[0])
    api.get("/warehouse")
    shop.write(NEW)
    children = shop.wait_for(lambda reports: len(reports) == 4, "not all report")[2:]
    (idle,) = [report for report in children if report.pid != reader]
    busy = [shop.send(0.6), shop.send(0.6)]
    assert {shop.done(job).split()[1] for job in busy} == {OLD, NEW}
    shop.wait_for(lambda reports: any(url_of(report) == NEW for report in reports), "the other child does not report")

    answer = api.get("/health/configuration").json()
    assert answer["configuration"]["status"] == "warn"
    (drift,) = answer["drift"]
    assert (drift["key"], drift["holds"], drift["says"]) == ("warehouse_url", NEW, OLD)
    assert f"pool child {idle.pid}" in drift["processes"]
    agreeing = {process["pid"]: process["agrees_with_others"] for process in answer["processes"]}
    assert agreeing[idle.pid] is False
    assert agreeing[main] is None, "it holds nothing that could disagree"

    draft = api.get("/health/configuration", headers={"Accept": "application/health+json"})
    assert draft.headers["content-type"] == "application/health+json"
    assert (draft.status_code, draft.json()["status"]) == (200, "warn")
    for probe in ("/livez", "/readyz"):
        told = api.get(probe, headers={"Accept": "application/health+json"})
        assert (told.status_code, told.json()["status"]) == (200, "pass"), "a stale child does not take the API away"
        assert told.headers["content-type"] == "application/health+json"


def test_a_job_does_not_silence_a_child_and_a_stopped_child_is_silent_since_its_last_word(
    shop: Shop, main: int
) -> None:
    jobs = [shop.send(2.5), shop.send(2.5)]
    found = shop.wait_for(lambda reports: sum(report.role is Role.CHILD for report in reports) == 2, "no children")
    children = {report.pid for report in found}
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert not any(report.silent for report in shop.reports(Role.CHILD)), "a job is no reason to be silent"
    for job in jobs:
        shop.done(job)

    child = psutil.Process(main).children()[0]
    assert child.pid in children
    child.suspend()
    try:
        found = shop.wait_for(
            lambda reports: any(report.pid == child.pid and report.silent for report in reports), "it is not silent"
        )
        assert [report.pid for report in found if report.silent] == [child.pid], "main and the other child speak"
    finally:
        child.resume()
    shop.wait_for(lambda reports: not any(report.silent for report in reports), "it does not speak again")


def test_a_killed_child_is_forgotten_and_its_successor_reports(shop: Shop, main: int) -> None:
    # Celery gives up when a child dies before main is in its loop, where it reports from.
    shop.wait_for(lambda reports: sum(report.role is not Role.API for report in reports) == 3, "not all report")
    victim = psutil.Process(main).children()[0]
    victim.kill()

    def replaced() -> bool:
        reports = shop.reports(Role.CHILD)
        return len(reports) == 2 and victim.pid not in {report.pid for report in reports}

    wait_until(replaced, 20, "the killed child is still shown")


def test_no_secret_reaches_a_report_a_log_or_the_health(shop: Shop, main: int, api: httpx.Client) -> None:
    api.get("/warehouse")
    shop.wait_for(lambda reports: any(report.settings for report in reports), "nothing is reported")
    seen = api.get("/health/configuration").text + shop.log("api.log") + shop.log("w.log")
    for key in shop.client.scan_iter("runbooks:*"):
        kind = shop.client.type(key)
        seen += repr(shop.client.get(key) if kind == b"string" else shop.client.zrange(key, 0, -1))
    assert "api_password" in seen
    for secret in (PASSWORD, GREETING):
        assert secret not in seen


def test_a_worker_that_is_stopped_says_goodbye(shop: Shop, main: int) -> None:
    orders = shop.log("w.log").count("] received")
    job = shop.send(1.5)
    wait_until(lambda: shop.log("w.log").count("] received") == orders + 1, 20, "the job is not taken")
    os.kill(main, signal.SIGTERM)
    leaving = shop.wait_for(lambda reports: any(report.leaving for report in reports), "it does not say that it leaves")
    assert [report.pid for report in leaving if report.leaving] == [main]
    shop.wait_for(lambda reports: not any(report.role is not Role.API for report in reports), "it is still shown")
    assert shop.done(job)


def warnings_in(log: str) -> list[str]:
    return [line for line in log.splitlines() if "WARNING" in line and "Configuration: " in line]


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_busy_worker_of_another_pool_goes_on_speaking_and_a_stopped_one_does_not(
    open_shop: Callable[..., Shop], pool: str
) -> None:
    shop = open_shop()
    main = shop.start_worker(pool)
    (report,) = shop.wait_for(lambda reports: len(reports) == 1, "no report")
    assert (report.role, report.pid, report.pool) == (Role.MAIN, main, pool)

    stranger = Reporter({"warehouse_url": NEW}, Identity("shop", Role.API, every=60), shop.redis_url)
    assert stranger.beat()
    job = shop.send(2.0)
    deadline = time.monotonic() + 1.8
    while time.monotonic() < deadline:
        assert not shop.reports(Role.MAIN)[0].silent, "a job is no reason to be silent"
    shop.done(job)
    shop.wait_for(lambda reports: url_of(reports[-1]) == OLD, "what the job has read is not reported")
    told = wait_until(lambda: warnings_in(shop.log("w.log")), 10, "it does not say that another one disagrees")
    assert len(told) == 1
    assert NEW in told[0]
    assert f"worker main {main}" in told[0]
    assert f"{OLD} (shop.env:1)" in told[0]
    assert told[0].endswith(PAGE)
    stranger.leave()

    psutil.Process(main).suspend()
    shop.wait_for(lambda reports: reports[0].silent, "a stopped worker speaks")
    psutil.Process(main).resume()
    shop.wait_for(lambda reports: not reports[0].silent, "it does not speak again")
