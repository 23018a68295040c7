"""Redis gone and back, a worker killed hard, two applications on one Redis: reports stay truthful, and hurt nobody."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from runbooks.drift.report import Role
from runbooks.drift.reports import Shelf
from tests.adopt.broker import Broker
from tests.adopt.shop_processes import NEW, OLD, Shop
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


def test_redis_goes_and_comes_back(open_shop: Callable[..., Shop], tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    try:
        shop = open_shop(broker.url())
        shop.start_worker("prefork")
        with shop.start_api() as api:
            shop.wait_for(lambda reports: len(reports) == 4, "not all report")
            broker.stop()
            seconds = []
            for _ in range(5):
                began = time.perf_counter()
                assert api.get("/warehouse").status_code == 200
                seconds.append(time.perf_counter() - began)
            assert statistics.median(seconds) < 0.1, "an outage of the broker is no affair of the API's"
            told = api.get("/health/configuration").json()
            assert told["configuration"]["status"] == "warn"
            assert "does not answer" in told["configuration"]["output"]
            assert told["processes"] == []
            began = time.perf_counter()
            assert [api.get(path).status_code for path in ("/livez", "/readyz")] == [200, 503]
            assert time.perf_counter() - began < 1, "longer than a probe waits"
            wait_until(
                lambda: "not reported for now" in shop.log("api.log"), 10, "nobody says that nothing is reported"
            )

            # Emptied, too: it comes back without the salt that all fingerprints were made with.
            shutil.rmtree(tmp_path / "appendonlydir")
            broker.start()
            assert shop.done(shop.send(), timeout=40), "the worker did not recover"
            api.get("/warehouse")

            def agree() -> bool:
                processes = api.get("/health/configuration").json()["processes"]
                agreeing = [process["agrees_with_others"] for process in processes if process["settings"]]
                return len(processes) == 4 and agreeing == [True, True]

            wait_until(agree, 20, "the processes do not report again, or do not agree")
            assert api.get("/readyz").status_code == 200
            assert "Traceback" not in shop.log("api.log")
    finally:
        broker.stop()


def test_a_redis_that_hangs_delays_a_request_by_less_than_a_second(
    open_shop: Callable[..., Shop], tmp_path: Path
) -> None:
    broker = Broker(tmp_path)
    try:
        shop = open_shop(broker.url())
        with shop.start_api() as api:
            shop.wait_for(lambda reports: len(reports) == 1, "the API does not report")
            server = psutil.Process(broker.process.pid)
            server.suspend()
            began = time.perf_counter()
            assert api.get("/readyz").status_code == 503
            assert time.perf_counter() - began < 1, "longer than a probe waits"
            began = time.perf_counter()
            assert "does not answer" in api.get("/health/configuration").json()["configuration"]["output"]
            assert time.perf_counter() - began < 1.5
            began = time.perf_counter()
            assert api.get("/warehouse").status_code == 200
            assert time.perf_counter() - began < 0.5
            server.resume()
            shop.wait_for(lambda reports: len(reports) == 1 and not reports[0].silent, "it does not report again")
    finally:
        broker.stop()


CLOCK = """import os, time
wrong_by, time_, time_ns = float(os.environ["CLOCK_WRONG_BY"]), time.time, time.time_ns
time.time = lambda: time_() + wrong_by
time.time_ns = lambda: time_ns() + int(wrong_by * 1e9)
"""
"""Run by Python at its start: the clock of another machine."""


def test_workers_whose_clocks_are_two_hours_apart_are_both_told_of_truly(
    open_shop: Callable[..., Shop], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    shop = open_shop()
    pids = [
        shop.start_worker(pool, name=pool, environ={"PYTHONPATH": str(tmp_path), "CLOCK_WRONG_BY": wrong_by})
        for pool, wrong_by in (("prefork", "3600"), ("solo", "-3600"))
    ]

    def loaded() -> bool:
        shop.send()
        return len(shop.reports()) == 4 and sum(report.loaded is not None for report in shop.reports()) >= 2

    wait_until(loaded, 20, "not all report", interval=0.2)
    reports = shop.reports()
    assert {report.pid for report in reports if report.role is Role.MAIN} == set(pids)
    now = shop.shelf.read().now
    for report in reports:
        assert not report.silent
        assert report.last_word is not None
        for moment in (report.last_word, report.started, report.loaded or now):
            assert timedelta(seconds=-1) < now - moment < timedelta(seconds=60), report

    shop.write(NEW)
    with shop.start_api() as api:

        def told() -> str:
            api.get("/warehouse")
            return str(api.get("/health/configuration").json()["configuration"]["output"])

        wait_until(lambda: OLD in told() and NEW in told(), 20, "the drift is not told")
        assert "no word since" not in told()


def test_a_worker_that_was_killed_hard_is_gone_and_a_second_application_is_not_seen(
    open_shop: Callable[..., Shop], broker: Broker
) -> None:
    shop = open_shop()
    first = shop.start_worker("prefork", name="first")
    second = shop.start_worker("solo", name="second")
    shop.wait_for(lambda reports: len(reports) == 4, "two workers and two children do not report")
    children = psutil.Process(first).children()
    os.kill(first, signal.SIGKILL)
    for child in children:
        child.kill()
    shop.wait_for(lambda reports: [report.pid for report in reports] == [second], "the dead are still shown")
    assert {report.pid for report in shop.shelf.read().reports} > {second}, (
        "elsewhere they are silent until they expire"
    )

    neighbour = Shelf(shop.redis_url, "shop:report")
    assert neighbour.read().reports == ()
    neighbour.close()
    assert shop.reports(Role.MAIN)[0].node
