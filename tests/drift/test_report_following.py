"""A cached getter of any application that follows its files: which edits, what is kept, and what a call costs."""

from __future__ import annotations

import json
import logging
import statistics
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings, SettingsConfigDict

from runbooks.drift.following import Follower, follow
from runbooks.errors import UserError
from runbooks.settings.signature import age, signature_of
from tests.reload.edits import EDITS, Edit
from tests.support.waiting import wait_until

OLD, NEW = "http://localhost:8000", "http://localhost:8189"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file="shop.env", env_prefix="SHOP_", frozen=True)

    url: str
    timeout: float = 30.0


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "shop.env"
    path.write_text(f"SHOP_URL={OLD}\n")
    return path


@pytest.fixture
def get_settings(file: Path) -> Callable[[], Settings]:
    @lru_cache
    def get_settings() -> Settings:
        return Settings()

    return get_settings


def started(getter: Callable[[], object], files: list[Path] | None = None, patience: float = 5.0) -> Follower:
    return Follower(getter, files, every=0.0, settle=0.02, patience=patience)


def wait_for(follower: Follower, getter: Callable[[], Settings], url: str) -> None:
    def is_in_force() -> bool:
        follower.look_if_due()
        return getter().url == url

    wait_until(is_in_force, 10, f"{url} to be in force")


def wait_for_problem(follower: Follower) -> str:
    return wait_until(lambda: follower.snapshot().problem, 10, "no problem is seen") or ""


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_is_in_force_however_it_is_made(file: Path, get_settings: Callable[[], Settings], edit: Edit) -> None:
    follower = started(get_settings)
    for url in (NEW, OLD, NEW):
        edit(file, f"SHOP_URL={url}\n")
        wait_for(follower, get_settings, url)
        assert follower.snapshot().problem is None


def test_an_edit_between_reading_and_following_is_not_lost(file: Path, get_settings: Callable[[], Settings]) -> None:
    get_settings()
    file.write_text(f"SHOP_URL={NEW}\n")
    follower = started(get_settings)
    wait_for(follower, get_settings, NEW)


def test_nothing_is_read_anew_where_no_value_has_changed(
    file: Path, get_settings: Callable[[], Settings], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    follower = started(get_settings)
    settings, before = get_settings(), follower.snapshot()
    file.write_text(f"# a comment\nSHOP_URL={OLD}\n")
    moved = wait_until(
        lambda: found if (found := follower.snapshot()).held != before.held else None, 5, "the line has not moved"
    )
    assert moved is not None
    assert [held.origin for held in moved.held if held.key == "url"] == ["shop.env:2"]
    assert (get_settings() is settings, moved.since == before.since, caplog.text) == (True, True, "")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (f"SHOP_URL={NEW}\nSHOP_TIMEOUT=hunter2\n", "timeout cannot be read: input should be a valid number"),
        ("# nothing\n", "url cannot be read: field required"),
        ("", "shop.env is empty. If it shall set nothing, leave a comment in it."),
        (None, "shop.env is gone or cannot be looked at."),
    ],
)
def test_a_broken_edit_keeps_the_last_good_settings_and_is_told_once(
    file: Path,
    get_settings: Callable[[], Settings],
    caplog: pytest.LogCaptureFixture,
    broken: str | None,
    said: str,
) -> None:
    caplog.set_level(logging.INFO)
    follower = started(get_settings)
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken)
    told = wait_for_problem(follower)
    assert told.startswith(f"the last edit is not in force: {said}")
    for _ in range(3):
        follower.look_at_files()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert said in record.getMessage()
    assert "hunter2" not in caplog.text + told
    assert get_settings().url == OLD
    file.write_text(f"SHOP_URL={NEW}\n")
    wait_for(follower, get_settings, NEW)
    assert follower.snapshot().problem is None


def test_an_exported_variable_that_hides_an_edit_is_named(
    file: Path,
    get_settings: Callable[[], Settings],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_URL", OLD)
    file.write_text("SHOP_URL=http://localhost:1\n")
    follower = started(get_settings)
    assert follower.snapshot().problem is None, "it was meant so at the start"
    file.write_text(f"# edited\nSHOP_URL={NEW}\n")
    assert wait_for_problem(follower) == "SHOP_URL (shop.env:2) is hidden by the exported variable"
    assert get_settings().url == OLD
    assert "shop.env:2: the edit is shadowed by the exported SHOP_URL, which this process keeps." in caplog.text
    assert NEW not in caplog.text
    file.write_text(f"SHOP_URL={OLD}\n")
    wait_until(lambda: follower.snapshot().problem is None, 5, "it says the same by now, and is still named")


def test_a_running_task_keeps_what_it_began_with(file: Path, get_settings: Callable[[], Settings]) -> None:
    follower = started(get_settings)
    follower.begin()
    settings = get_settings()
    file.write_text(f"SHOP_URL={NEW}\n")
    wait_until(lambda: follower.snapshot() and (age(signature_of([file])[file]) or 0) > 0.1, 5, "it to come to rest")
    assert get_settings() is settings
    follower.end()
    wait_until(lambda: follower.snapshot() and get_settings().url == NEW, 5, "an idle process follows, too")


@dataclass(frozen=True)
class Plain:
    url: str


def test_files_of_any_kind_are_followed_when_they_are_named(tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    file.write_text(json.dumps({"url": OLD}))

    @lru_cache
    def get_plain() -> Plain:
        return Plain(**json.loads(file.read_text()))

    follower = started(get_plain, [file])
    file.write_text(json.dumps({"url": NEW}))
    wait_until(lambda: follower.snapshot() and get_plain().url == NEW, 5, "it does not follow")
    file.write_text("{")
    assert wait_for_problem(follower).endswith("The settings cannot be read (JSONDecodeError).")
    assert get_plain().url == NEW


def test_settings_that_cannot_be_read_at_the_start_leave_nothing_to_keep(
    file: Path, get_settings: Callable[[], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIG_RELOAD", "on-change")
    file.write_text("SHOP_TIMEOUT=1\n")
    with pytest.raises(UserError, match=r"url cannot be read: field required\."):
        follow(get_settings)


def test_what_cannot_be_followed_is_said(
    file: Path,
    get_settings: Callable[[], Settings],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert follow(get_settings) is None
    assert caplog.text == "", "nobody has asked for it"
    monkeypatch.setenv("CONFIG_RELOAD", "on-change")
    assert follow(get_settings) is not None
    assert caplog.text == ""
    assert follow({"url": OLD}) is None
    assert follow(lambda: {"url": OLD}) is None
    assert follow(lru_cache(lambda: {"url": OLD})) is None
    told = [record.getMessage() for record in caplog.records]
    assert [words for words in ("no function", "no cache_clear()", "no file is known") if words not in str(told)] == []
    assert len(told) == 3
    monkeypatch.setenv("CONFIG_RELOAD", "always")
    with pytest.raises(UserError, match=r"CONFIG_RELOAD is 'always'\. Set it to on-change, or not at all\."):
        follow(get_settings)


def test_a_task_pays_less_for_it_than_a_stat(file: Path, get_settings: Callable[[], Settings]) -> None:
    follower = Follower(get_settings)
    follower.look_at_files()

    def task() -> None:
        follower.begin()
        follower.end()

    def microseconds(call: Callable[[], object]) -> float:
        return statistics.median(timeit.repeat(call, number=1000, repeat=15)) * 1000

    assert microseconds(task) < max(microseconds(file.stat), 3.0)
