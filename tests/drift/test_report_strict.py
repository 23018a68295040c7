"""What a strict start looks at: its own settings without keeping them, and the others with little patience."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import pytest
from celery import Celery
from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from runbooks.drift.celery import report_settings as report_worker_settings
from runbooks.drift.fastapi import report_settings
from runbooks.drift.reading import first_held, why_unreadable
from runbooks.drift.report import Role
from runbooks.drift.reporter import Identity, Reporter
from runbooks.drift.startcheck import check_strictly
from runbooks.errors import UserError
from tests.adopt.broker import Broker
from tests.support.silent import a_name_server_that_is_silent, a_server_that_is_silent

OLD, NEW = "http://localhost:1111", "http://localhost:2222"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file="shop.env", env_prefix="SHOP_")

    url: str = OLD
    timeout: float = 30.0


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "shop.env"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.stop()


def another(url: str, held: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process of another machine would say."""
    reporter = Reporter(held, Identity("shop", Role.MAIN, every=60), url)
    reporter._id, reporter._pid = "elsewhere", 4_194_305
    with monkeypatch.context() as patch:
        patch.setattr("runbooks.drift.reporter.machine", lambda: "elsewhere")
        assert reporter.beat()


def test_what_a_process_will_hold_is_read_beside_its_cache(file: Path) -> None:
    get_settings = lru_cache(Settings)
    file.write_text(f"SHOP_URL={NEW}\n")

    def url_of(source: Any, now: Callable[[], Any] | None = None) -> str:
        snapshot = first_held(source, now)
        assert snapshot is not None
        return {held.key: held.value for held in snapshot.held}["url"]

    assert url_of(get_settings) == NEW
    assert url_of(get_settings, lambda: {"url": "by now"}) == "by now"
    assert get_settings.cache_info().currsize == 0
    get_settings()
    file.write_text(f"SHOP_URL={OLD}\n")
    assert url_of(get_settings, Settings) == NEW, "what it holds by now is what it holds"
    assert url_of({"url": "plain"}) == "plain"


def test_who_disagrees_is_named_and_who_agrees_or_knows_other_keys_is_not(
    file: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(f"SHOP_URL={NEW}\n")
    get_settings = lru_cache(Settings)
    another(broker.url(), {"url": NEW, "threads": "4"}, monkeypatch)
    check_strictly(get_settings, "shop", lambda _: broker.url())
    another(broker.url(), {"url": OLD, "threads": "4"}, monkeypatch)
    with pytest.raises(UserError) as refused:
        check_strictly(get_settings, "shop", lambda _: broker.url())
    first, *_ = str(refused.value).splitlines()
    assert first.startswith(
        f"worker main 4194305 holds url={OLD} (origin unknown), this process holds {NEW} (shop.env:1)."
    )
    assert get_settings.cache_info().currsize == 0


@pytest.mark.parametrize(
    ("url", "silent"),
    [
        ("redis://{}/0", a_server_that_is_silent),
        ("redis://{}/0", a_name_server_that_is_silent),
        ("redis://{}/0", lambda: nullcontext("127.0.0.1:1")),
        ("amqp://{}", lambda: nullcontext("localhost")),
    ],
    ids=["silent server", "silent name server", "nobody", "another kind"],
)
def test_a_broker_that_does_not_answer_delays_a_start_by_less_than_a_second_and_does_not_end_it(
    caplog: pytest.LogCaptureFixture, url: str, silent: Callable[[], AbstractContextManager[str]]
) -> None:
    before = set(threading.enumerate())
    with silent() as address:
        began = time.perf_counter()
        check_strictly({"url": NEW}, "shop", lambda _: url.format(address))
        assert time.perf_counter() - began < 1.0
    (record,) = caplog.records
    assert record.getMessage().startswith("Configuration: no other process was compared: ")
    for waiting in set(threading.enumerate()) - before:
        waiting.join(10)


def _own(value: str) -> str:
    raise ValueError(f"{value} is not good")


class Broken(BaseModel):
    number: int
    own: Annotated[str, AfterValidator(_own)]
    missing: str


def test_why_settings_cannot_be_read_names_keys_and_no_value() -> None:
    with pytest.raises(ValidationError) as broken:
        Broken.model_validate({"number": "hunter2", "own": "hunter3"})
    assert why_unreadable(broken.value) == [
        "number cannot be read: input should be a valid integer, unable to parse string as an integer",
        "own cannot be read: is not valid (value_error)",
        "missing cannot be read: field required",
    ]
    assert why_unreadable(KeyError("hunter4")) == ["The settings cannot be read (KeyError)"]


def unreadable() -> dict[str, str]:
    raise KeyError("hunter2")


@pytest.mark.parametrize(("strict", "switches", "starts"), [("1", True, False), ("0", True, True), ("1", False, True)])
def test_a_server_is_told_that_the_start_has_failed_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, strict: str, switches: bool, starts: bool
) -> None:
    monkeypatch.setenv("STRICT_CONFIG", strict)
    app = FastAPI()
    report_settings(app, unreadable, name="shop", redis_url="redis://127.0.0.1:1/0", switches=switches)
    told: list[Any] = []
    events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(events)

    async def send(message: Any) -> None:
        told.append(message)

    asyncio.run(app({"type": "lifespan", "state": {}}, receive, send))
    assert told[0]["type"] == ("lifespan.startup.complete" if starts else "lifespan.startup.failed")
    if not starts:
        assert told[0]["message"].startswith("The settings cannot be read (KeyError).")


def test_a_worker_of_another_application_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from celery.signals import celeryd_after_setup

    monkeypatch.setenv("STRICT_CONFIG", "1")
    mine, other = (Celery("shop", set_as_current=False) for _ in range(2))
    report_worker_settings(mine, unreadable, redis_url="redis://127.0.0.1:1/0")

    class Instance:
        app = other

    celeryd_after_setup.send(sender="w", instance=Instance, conf=None)
    Instance.app = mine
    with pytest.raises(SystemExit) as ended:
        celeryd_after_setup.send(sender="w", instance=Instance, conf=None)
    assert ended.value.code == 2
