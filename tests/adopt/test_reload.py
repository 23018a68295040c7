"""``CONFIG_RELOAD=on-change`` and the two lines: an edit reaches the next task and request, and no process restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from runbooks.drift.report import Report
from tests.adopt.shop_processes import GREETING, NEW, OLD, PASSWORD, Shop
from tests.reload.edits import atomic_rename, in_place, symlink_swapped
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

RELOAD = {"CONFIG_RELOAD": "on-change"}
LAST = "http://localhost:3333"


def url_of(report: Report) -> str | None:
    setting = report.setting("warehouse_url")
    return setting.value if setting else None


def all_hold(shop: Shop, url: str, count: int) -> list[Report]:
    return shop.wait_for(
        lambda reports: len(reports) == count and {url_of(report) for report in reports} == {url},
        f"not all {count} report {url}",
    )


@pytest.fixture(scope="module")
def shop(open_shop: Callable[..., Shop]) -> Shop:
    return open_shop()


@pytest.fixture(scope="module")
def main(shop: Shop) -> int:
    return shop.start_worker("prefork", environ=RELOAD)


@pytest.fixture(scope="module")
def api(shop: Shop, main: int) -> Iterator[httpx.Client]:
    with shop.start_api(RELOAD) as client:
        yield client


def test_an_edit_is_in_force_for_the_next_task_of_every_child_and_the_next_request(
    shop: Shop, main: int, api: httpx.Client
) -> None:
    shop.write(OLD)
    before = {report.pid for report in all_hold(shop, OLD, 4)}
    shop.write(NEW)
    began = time.monotonic()
    wait_until(lambda: api.get("/warehouse").json() == NEW, 5, "no request sees it")
    assert time.monotonic() - began < 1.5
    time_left = max(0.0, began + 1.5 - time.monotonic())
    shop.done(shop.send(time_left))
    both = [shop.done(order).split() for order in [shop.send(0.5), shop.send(0.5)]]
    assert {url for _, url in both} == {NEW}
    assert len({child for child, _ in both}) == 2
    assert {report.pid for report in all_hold(shop, NEW, 4)} == before, "main, which runs no task, follows, too"
    told = api.get("/health/configuration").json()
    assert (told["configuration"]["status"], told["drift"]) == ("pass", [])
    assert "Settings changed: warehouse_url (shop.env:1)" in shop.log("w.log")


def test_a_running_task_keeps_what_it_began_with_though_it_asks_again(shop: Shop, main: int, api: httpx.Client) -> None:
    shop.write(OLD)
    all_hold(shop, OLD, 4)
    order = shop.send(3.0, "pack_slowly")
    wait_until(lambda: "pack_slowly[" in shop.log("w.log"), 5, "it is not taken")
    shop.write(NEW)
    wait_until(lambda: shop.done(shop.send()).endswith(NEW), 2.5, "the other child does not follow")
    _, began, ended = shop.done(order).split()
    assert (began, ended) == (OLD, OLD)
    all_hold(shop, NEW, 4)


def test_a_broken_edit_is_not_in_force_anywhere_and_every_process_says_so(
    shop: Shop, main: int, api: httpx.Client
) -> None:
    shop.write(NEW)
    all_hold(shop, NEW, 4)
    (shop.root / "shop.env").write_text(f"SHOP_WAREHOUSE_URL={OLD}\nSHOP_TIMEOUT={PASSWORD}\nSHOP_GREETING=x\n")
    said = "the last edit is not in force: timeout cannot be read: input should be a valid number"
    shop.wait_for(
        lambda reports: all(report.problem and report.problem.startswith(said) for report in reports), "not all say so"
    )
    assert shop.done(shop.send()).endswith(NEW)
    assert api.get("/warehouse").json() == NEW
    assert said in api.get("/health/configuration").json()["configuration"]["output"]
    told = [line for line in shop.log("w.log").splitlines() if "The last edit of the settings is not in force" in line]
    assert len(told) == 1, "main says it for its children"
    assert "The last edit of the settings is not in force" in shop.log("api.log")
    shop.write(LAST)
    all_hold(shop, LAST, 4)
    assert not any(report.problem for report in shop.reports())
    everything = shop.log("w.log") + shop.log("api.log") + api.get("/health/configuration").text
    assert not [secret for secret in (PASSWORD, GREETING) if secret in everything]


def test_tasks_and_requests_see_one_value_each_however_the_file_is_edited(
    shop: Shop, main: int, api: httpx.Client
) -> None:
    file, before = shop.root / "shop.env", LAST
    shop.write(before)
    all_hold(shop, before, 4)
    for number, edit in enumerate((in_place, atomic_rename, symlink_swapped)):
        url = f"http://localhost:{4000 + number}"
        edit(file, file.read_text().replace(before, url))
        seen, deadline = {before}, time.monotonic() + 5
        while seen != {url}:
            assert time.monotonic() < deadline, f"{edit.__name__} is not seen"
            orders = [shop.send(0.05, "pack_slowly") for _ in range(4)]
            told = [shop.done(order).split() for order in orders]
            assert all(began == ended for _, began, ended in told)
            seen = {began for _, began, _ in told} | {api.get("/warehouse").json()}
            assert seen <= {before, url}
        before = url
    all_hold(shop, before, 4)
    assert "Traceback" not in shop.log("w.log") + shop.log("api.log")


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_the_next_task_of_another_pool_sees_it_too_and_a_shadowed_edit_is_named(
    open_shop: Callable[..., Shop], pool: str
) -> None:
    shop = open_shop()
    shop.start_worker(pool, environ=RELOAD)
    shop.start_worker("solo", name="exported", queue="other", environ={**RELOAD, "SHOP_WAREHOUSE_URL": OLD})
    assert shop.done(shop.send()).endswith(OLD)
    # What a process finds when it starts is no edit.
    all_hold(shop, OLD, 2)
    shop.write(NEW)
    wait_until(lambda: shop.done(shop.send()).endswith(NEW), 5, "it does not follow")
    hidden = "SHOP_WAREHOUSE_URL (shop.env:1) is hidden by the exported variable"
    wanted = {(NEW, None), (OLD, hidden)}
    shop.wait_for(
        lambda reports: {(url_of(report), report.problem) for report in reports} == wanted, "the edit is not named"
    )
    assert "the edit is shadowed by the exported SHOP_WAREHOUSE_URL" in shop.log("exported.log")


def test_a_switch_that_means_nothing_and_settings_that_cannot_be_read_end_the_start(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop()
    worker = ["celery", "-A", "worker:app", "worker", "--pool=solo"]
    code, said = shop.refused(worker, {"CONFIG_RELOAD": "always"})
    assert (code, said.strip().splitlines()[-1]) == (
        2,
        "CONFIG_RELOAD is 'always'. Set it to on-change, or not at all.",
    )
    (shop.root / "shop.env").write_text("SHOP_TIMEOUT=1\n")
    for command, expected in ((worker, 2), (["uvicorn", "api:app", "--port", "0"], 3)):
        code, said = shop.refused(command, RELOAD)
        assert code == expected
        assert "warehouse_url cannot be read: field required" in said
        assert "Traceback" not in said
