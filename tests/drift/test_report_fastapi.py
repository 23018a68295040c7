"""Two lines in a FastAPI application with the real pydantic-settings, and what its health says of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic_settings import BaseSettings, SettingsConfigDict

from runbooks.drift import reporter
from runbooks.drift.fastapi import report_settings
from runbooks.drift.health import PAGE
from runbooks.drift.report import Role
from runbooks.drift.reporter import Identity, Reporter
from runbooks.drift.reports import read_reports
from tests.adopt.broker import Broker

OLD, NEW = "http://localhost:8000", "http://localhost:8189"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file="shop.env", env_prefix="SHOP_")

    url: str = "http://localhost:1"
    password: str = ""
    timeout: float = 30.0


async def configuration(client: httpx.AsyncClient, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """What the application's health says once it is as it should be."""
    for _ in range(200):
        found: dict[str, Any] = (await client.get("/health/configuration")).json()
        if wanted(found):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


def test_with_now_a_lone_process_is_compared_with_what_a_new_one_would_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("shop.env")
    file.write_text(f"SHOP_URL={OLD}\nSHOP_PASSWORD=hunter2\n")
    get_settings = lru_cache(Settings)
    broker = Broker(tmp_path)
    app = FastAPI()
    report_settings(app, get_settings, name="shop", redis_url=broker.url(), now=Settings, every=0.3)
    get_settings()

    async def edit_twice() -> list[dict[str, Any]]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
        ):
            told = [await configuration(client, lambda found: found["processes"])]
            file.write_text(f"# edited\nSHOP_URL={NEW}\nSHOP_PASSWORD=hunter3\n")
            told.append(await configuration(client, lambda found: found["drift"]))
            file.write_text("# broken\n\nSHOP_URL=http://hunter4\nSHOP_TIMEOUT=many\n")
            words: set[str] = set()

            def has_spoken_again(found: dict[str, Any]) -> bool:
                # It looks, and then says so: the second word from now on is of the edited file.
                words.update(process["last_word"] for process in found["processes"])
                return "anew fails" in str(found) and len(words) > 2

            return [*told, await configuration(client, has_spoken_again)]

    try:
        agreeing, told, broken = asyncio.run(edit_twice())
    finally:
        broker.stop()

    (process,) = agreeing["processes"]
    assert (process["agrees_with_files"], agreeing["drift"]) == (True, [])
    drifts = {drift["key"]: drift for drift in told["drift"]}
    assert (drifts["url"]["holds"], drifts["url"]["origin"]) == (OLD, "shop.env:1")
    assert (drifts["url"]["says"], drifts["url"]["says_origin"]) == (NEW, "shop.env:2")
    assert drifts["url"]["against"] == "the files"
    assert (drifts["password"]["holds"], drifts["password"]["says"]) == ("****", "****")
    assert broken["configuration"]["output"].startswith(
        "The files cannot be read: reading the settings anew fails (ValidationError)."
    )
    assert "hunter" not in str((agreeing, told, broken))
    (last,) = broken["processes"]
    assert last["agrees_with_files"] is None
    assert (last["settings"]["url"]["origin"], last["loaded"]) == ("shop.env:1", process["loaded"]), (
        "lines move in the file, and the process holds what it has loaded then"
    )


@pytest.mark.parametrize(("leaving", "warn", "told"), [(False, True, 1), (True, True, 0), (False, False, 0)])
def test_a_process_warns_once_of_another_that_holds_something_else_and_is_to_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, leaving: bool, warn: bool, told: int
) -> None:
    broker = Broker(tmp_path)
    old = Reporter({"url": OLD}, Identity("shop", Role.MAIN, every=60, leaving=leaving), broker.url())
    old._id, old._pid = "elsewhere", 4_194_305
    app = FastAPI()
    report_settings(app, {"url": NEW}, name="shop", redis_url=broker.url(), every=0.1, warn=warn)

    async def live_for_a_few_beats() -> None:
        async with app.router.lifespan_context(app):
            beats: set[object] = set()
            while len(beats) < 4:
                beats |= {report.last_word for report in read_reports(broker.url(), "shop") if report.role is Role.API}
                await asyncio.sleep(0.02)

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reporter, "machine", lambda: "elsewhere")
            assert old.beat()
        asyncio.run(asyncio.wait_for(live_for_a_few_beats(), 20))
    finally:
        broker.stop()
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == told
    for warning in warnings:
        for word in ("worker main 4194305", f"API {os.getpid()}", OLD, NEW, "url=", PAGE):
            assert word in warning
