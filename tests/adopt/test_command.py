"""Brokers that keep no reports: the worker is asked, with the command that the page shows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from runbooks.drift.celery_command import REPORTERS, settings_report
from runbooks.drift.report import Role
from runbooks.drift.reporter import Identity, Reporter
from tests.adopt.shop_processes import GREETING, NEW, OLD, PASSWORD, Shop
from tests.support.waiting import wait_until

APP = "worker_without_redis:app"
NOBODY = 69
"""How ``celery inspect`` ends when nobody has answered in time."""


def ask(shop: Shop, salt: str) -> dict[str, dict[str, Any]]:
    """What each worker answers, by its node name without the host."""
    command = [sys.executable, "-m", "celery", "-A", APP, "inspect", "--json", "--timeout=1", "settings_report", salt]
    asked = subprocess.run(command, cwd=shop.root, capture_output=True, text=True, timeout=60, check=False)
    if asked.returncode == NOBODY:
        return {}
    assert asked.returncode == 0, asked.stderr
    return {node.partition("@")[0]: told for node, told in json.loads(asked.stdout).items()}


def have_read(shop: Shop, name: str) -> None:
    """Have a worker do a job, and so read its settings."""
    folder = str(shop.root / "queue")
    folders = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder}
    with Celery(broker="filesystem://", broker_transport_options=folders, set_as_current=False) as app:
        app.send_task("worker_without_redis.pack", queue=name, ignore_result=True)
    wait_for_word(shop, name, " succeeded ")


def wait_for_word(shop: Shop, name: str, word: str) -> None:
    wait_until(lambda: word in shop.log(f"{name}.log"), 20, f"worker {name} to write {word!r}")


@pytest.mark.e2e
def test_workers_on_a_broker_without_redis_say_what_they_run_with_when_they_are_asked(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop()
    (shop.root / "queue").mkdir()
    for name in ("one", "two"):
        shop.start_worker("solo", name=name, app=APP, queue=name)
        # One by one: two that are started at once may read each other's half-written files of this transport.
        wait_for_word(shop, name, " ready.")
    have_read(shop, "one")
    shop.write(NEW)
    have_read(shop, "two")

    # A machine that is busy with other things may miss the second in which Celery waits for answers.
    told = wait_until(lambda: told if len(told := ask(shop, "00ff")) == 2 else {}, 20, "both to answer")
    held = {name: {each["key"]: each for each in told[name]["settings"]} for name in told}
    assert {name: held[name]["warehouse_url"]["value"] for name in held} == {"one": OLD, "two": NEW}
    assert {told[name]["role"] for name in told} == {"worker main"}
    for key, equal in (("warehouse_url", False), ("api_password", True), ("greeting", True)):
        assert (held["one"][key]["fingerprint"] == held["two"][key]["fingerprint"]) is equal
    assert held["one"]["api_password"]["value"] == "****"
    said = repr(told) + shop.log("one.log") + shop.log("two.log")
    assert not [secret for secret in (PASSWORD, GREETING) if secret in said]
    assert "Traceback" not in said
    assert "not reported" not in said, "nobody asked for reports in Redis"


def test_a_salt_that_is_no_number_is_an_answer_and_no_traceback() -> None:
    app = Celery("shop", set_as_current=False)
    REPORTERS[app] = lambda: Reporter({}, Identity("shop", Role.MAIN), None)
    assert settings_report(SimpleNamespace(app=app), salt="no number") == {"error": "the salt is not hexadecimal"}
    assert settings_report(SimpleNamespace(app=Celery(set_as_current=False)))["error"]
