"""Brokers that keep no reports: the worker is asked, with the command that the page shows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.adopt.shop_processes import GREETING, NEW, OLD, PASSWORD, Shop
from tests.support.waiting import wait_until

APP = "worker_without_redis:app"


def celery(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "celery", "-A", APP, *arguments]
    return subprocess.run(command, cwd=shop.root, capture_output=True, text=True, timeout=60, check=False)


def ask(shop: Shop, salt: str) -> dict[str, dict[str, Any]]:
    """What each worker answers, by its node name without the host."""
    asked = celery(shop, "inspect", "--json", "--timeout=2", "settings_report", salt)
    assert asked.returncode == 0, asked.stderr
    return {node.partition("@")[0]: told for node, told in json.loads(asked.stdout).items()}


def wait_for_word(shop: Shop, name: str, word: str) -> None:
    wait_until(lambda: word in shop.log(f"{name}.log"), 20, f"worker {name} to write {word!r}")


@pytest.mark.e2e
def test_workers_on_a_broker_without_redis_say_what_they_run_with_when_they_are_asked(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop()
    (shop.root / "queue").mkdir()
    for name, url in (("one", OLD), ("two", NEW)):
        shop.start_worker("solo", name=name, app=APP, queue=name)
        wait_for_word(shop, name, " ready.")
        shop.write(url)
        assert celery(shop, "call", "worker_without_redis.pack", f"--queue={name}").returncode == 0
        wait_for_word(shop, name, " succeeded ")

    told = ask(shop, "00ff")
    held = {name: {each["key"]: each for each in told[name]["settings"]} for name in told}
    assert {name: held[name]["warehouse_url"]["value"] for name in held} == {"one": OLD, "two": NEW}
    assert {told[name]["role"] for name in told} == {"worker main"}
    for key, equal in (("warehouse_url", False), ("api_password", True), ("greeting", True)):
        assert (held["one"][key]["fingerprint"] == held["two"][key]["fingerprint"]) is equal
    assert held["one"]["api_password"]["value"] == "****"
    said = repr(told) + shop.log("one.log") + shop.log("two.log")
    assert not [secret for secret in (PASSWORD, GREETING) if secret in said]

    assert {told["error"] for told in ask(shop, "no-number").values()} == {"the salt is not hexadecimal"}
    assert "Traceback" not in shop.log("one.log")
    assert "not reported" not in shop.log("one.log"), "nobody asked for reports in Redis"
