"""``STRICT_CONFIG=1`` and the two lines: a process that would disagree, or cannot read its settings, does not start."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from runbooks.drift.health import PAGE
from runbooks.drift.presence import REPLACES
from runbooks.drift.whoami import name_of
from tests.adopt.shop_processes import GREETING, NEW, OLD, PASSWORD, Shop
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

STRICT = {"STRICT_CONFIG": "1"}
COMMANDS = {
    "api": (("uvicorn", "api:app", "--port", "0"), 3),
    "prefork": (("celery", "-A", "worker:app", "worker", "--pool=prefork", "--concurrency=1", "-n", "other@%h"), 2),
    "solo": (("celery", "-A", "worker:app", "worker", "--pool=solo", "-n", "other@%h"), 2),
}
"""How each is started, and its exit code: Uvicorn has its own for a start that failed."""


@pytest.fixture(scope="module")
def stale(open_shop: Callable[..., Shop]) -> tuple[Shop, int]:
    """A shop whose worker holds what its file said before the last edit, and its main process."""
    shop = open_shop()
    main = shop.start_worker("prefork")
    shop.done(shop.send())
    shop.wait_for(lambda reports: any(report.settings for report in reports), "what the worker holds is not reported")
    shop.write(NEW)
    return shop, main


@pytest.mark.parametrize("who", COMMANDS)
def test_a_strict_process_does_not_start_beside_a_stale_one(stale: tuple[Shop, int], who: str) -> None:
    shop, main = stale
    command, expected = COMMANDS[who]
    code, said = shop.refused(command, STRICT)
    assert code == expected, said
    (told,) = [line for line in said.splitlines() if "warehouse_url" in line]
    assert f"of worker main {main} hold" in told
    assert f"warehouse_url={OLD} (shop.env:1), this process holds {NEW} (shop.env:1). See {PAGE}" in told
    assert "Not started, because STRICT_CONFIG is set." in said
    assert "Traceback" not in said
    assert not [secret for secret in (PASSWORD, GREETING) if secret in said]


def test_one_that_is_not_strict_starts_and_warns(stale: tuple[Shop, int]) -> None:
    shop, _ = stale
    with shop.start_api({"STRICT_CONFIG": "0"}) as api:
        assert api.get("/warehouse").json() == NEW
        told = wait_until(
            lambda: [line for line in shop.log("api.log").splitlines() if "Configuration: " in line], 10, "no warning"
        )
        assert OLD in told[0]
        assert NEW in told[0]


def test_a_strict_worker_that_replaces_the_stale_one_starts(stale: tuple[Shop, int]) -> None:
    shop, main = stale
    shop.start_worker("prefork", name="another", environ={**STRICT, REPLACES: name_of(os.getpid())})
    wait_until(lambda: "Not started" in shop.log("another.log"), 20, "it starts though it replaces a third one")
    shop.start_worker("prefork", name="next", environ={**STRICT, REPLACES: name_of(main)})
    wait_until(lambda: " ready." in shop.log("next.log"), 20, "the one that comes after it does not start")
    assert "Configuration:" not in shop.log("next.log")


@pytest.mark.parametrize("who", ["api", "solo"])
def test_settings_that_cannot_be_read_end_a_strict_start(open_shop: Callable[..., Shop], who: str) -> None:
    shop = open_shop()
    (shop.root / "shop.env").write_text(f"SHOP_TIMEOUT={PASSWORD}\nSHOP_GREETING={GREETING}\nSHOP_API_PASSWORD=x\n")
    command, expected = COMMANDS[who]
    code, said = shop.refused(command, STRICT)
    assert code == expected, said
    assert "timeout cannot be read: input should be a valid number" in said
    assert "warehouse_url cannot be read: field required." in said
    assert "Traceback" not in said
    assert not [secret for secret in (PASSWORD, GREETING) if secret in said]
