"""Brokers that keep no reports: the worker is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.adopt.shop_processes import OLD, PASSWORD, Shop
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


def test_a_worker_says_what_it_runs_with_when_it_is_asked(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    shop.start_worker("solo", name="one")
    shop.start_worker("solo", name="two")
    for _ in range(2):
        shop.wait_for(lambda reports: len(reports) == 2, "the workers do not come up")

    def ask() -> list[dict[str, Any]]:
        arguments = {"salt": "00ff" * 16}
        answers = shop.celery.control.broadcast("settings_report", arguments=arguments, reply=True, timeout=2, limit=2)
        return [told for answer in answers for told in answer.values()]

    orders = [shop.send() for _ in range(8)]
    for order in orders:
        shop.done(order)
    told = wait_until(lambda: [each for each in ask() if each["settings"]], 20, "nobody says what it holds")
    assert {each["role"] for each in told} == {"worker main"}
    held = {setting["key"]: setting for each in told for setting in each["settings"]}
    assert held["warehouse_url"]["value"] == OLD
    assert held["api_password"]["value"] == "****"
    assert PASSWORD not in repr(told)
