"""Settings of every usual kind are read, with origins where they can be known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from celery import Celery
from fastapi import FastAPI
from pydantic import AliasChoices, BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from runbooks.drift.adapters import Held, Snapshot, look
from runbooks.drift.celery import report_settings as adopt_in_celery
from runbooks.drift.fastapi import report_settings as adopt_in_fastapi
from runbooks.errors import UserError


def held(source: Any) -> dict[str, tuple[str, str | None]]:
    snapshot = look(source)
    assert snapshot is not None
    return {each.key: (each.value, each.origin) for each in snapshot.held}


@dataclass
class Inner:
    password: str = "hunter2"
    hosts: list[str] = field(default_factory=lambda: ["a", "b"])


class Plain:
    url = "http://localhost:1"
    _hidden = "x"

    def __init__(self) -> None:
        self.timeout = 2.5

    @property
    def costly(self) -> str:
        raise AssertionError("a property is not looked at")

    def method(self) -> None: ...


def test_a_dict_a_dataclass_and_a_plain_object_are_read() -> None:
    assert held({"url": "http://x", "nested": {"password": "p"}, "none": None, "empty": []}) == {
        "url": ("http://x", None),
        "nested.password": ("p", None),
        "none": ("none", None),
        "empty": ("", None),
    }
    assert set(held(Inner())) == {"password", "hosts.0", "hosts.1"}
    assert held(Plain()) == {"url": ("http://localhost:1", None), "timeout": ("2.5", None)}
    assert held(Plain) == {"url": ("http://localhost:1", None)}


def test_a_plain_value_that_the_environment_has_too_came_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL", "http://localhost:1")
    monkeypatch.setenv("TIMEOUT", "9")
    assert held(Plain()) == {"url": ("http://localhost:1", "environment variable URL"), "timeout": ("2.5", None)}


class Kind(Enum):
    FAST = "fast"


class Database(BaseModel):
    host: str = "localhost"
    password: SecretStr = SecretStr("")
    port: int = 5432


class Shop(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="SHOP_",
        env_file=(".env", ".env.prod"),
        env_nested_delimiter="__",
        secrets_dir="secrets",
        frozen=True,
        extra="ignore",
    )

    url: str = "http://default"
    timeout: float = 30.0
    workers: int = 1
    kind: Kind = Kind.FAST
    mode: Literal["a", "b"] = "a"
    name: str = Field(default="n", validation_alias=AliasChoices("SHOP_NAME_IN_FULL", "SHOPNAME"))
    broker: str = "redis://localhost"
    token: SecretStr = SecretStr("")
    database: Database = Database()
    tags: list[str] = Field(default_factory=list)


def test_values_of_pydantic_settings_have_their_variable_their_line_their_file_or_are_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("# shop\nSHOP_TIMEOUT=5\nSHOP_URL=http://hidden\nexport SHOP_DATABASE__HOST=db\n")
    Path(".env.prod").write_text("shop_workers=8\nSHOP_TIMEOUT=6\nSHOP_DATABASE__PASSWORD='hunter2'\n")
    Path("secrets").mkdir()
    Path("secrets", "SHOP_TOKEN").write_text("t0ken")
    monkeypatch.setenv("shop_url", "http://exported")
    monkeypatch.setenv("SHOPNAME", "long")
    monkeypatch.setenv("SHOP_TAGS", '["a", "b"]')
    assert held(Shop(broker="redis://argument")) == {
        "url": ("http://exported", "environment variable shop_url"),
        "timeout": ("6.0", ".env.prod:2"),
        "workers": ("8", ".env.prod:1"),
        "kind": ("fast", "default"),
        "mode": ("a", "default"),
        "name": ("long", "environment variable SHOPNAME"),
        "broker": ("redis://argument", "argument or another source"),
        "token": ("t0ken", "secrets/SHOP_TOKEN"),
        "database.host": ("db", ".env:4"),
        "database.password": ("hunter2", ".env.prod:3"),
        "database.port": ("5432", "default"),
        "tags.0": ("a", "environment variable SHOP_TAGS"),
        "tags.1": ("b", "environment variable SHOP_TAGS"),
    }
    Path(".env.prod").write_text("not a line\n")
    assert held(Shop(_env_file=None))["timeout"] == ("30.0", "default")


@pytest.mark.parametrize("adopt", [adopt_in_celery, adopt_in_fastapi])
def test_a_class_that_reads_anew_is_refused_as_a_source(adopt: Callable[..., None]) -> None:
    with pytest.raises(UserError, match="Shop is a class, and each call of it reads the settings anew"):
        adopt(FastAPI() if adopt is adopt_in_fastapi else Celery("shop"), Shop, name="shop")


def test_a_pydantic_model_that_reads_nothing_by_itself_has_no_origins_but_defaults() -> None:
    assert held(Database(host="db")) == {
        "host": ("db", None),
        "password": ("", "default"),
        "port": ("5432", "default"),
    }


@pytest.mark.parametrize("cached", [lru_cache, cache, lru_cache(maxsize=1)])
def test_a_cached_getter_that_nobody_has_called_is_not_called(cached: Callable[..., Any]) -> None:
    calls = []

    @cached
    def get_settings() -> dict[str, str]:
        calls.append(1)
        return {"url": "http://x"}

    assert look(get_settings) is None
    assert calls == []
    get_settings()
    assert held(get_settings) == {"url": ("http://x", None)}
    assert calls == [1]


def test_a_getter_may_bring_its_own_snapshot() -> None:
    snapshot = Snapshot((Held("URL", "http://x", "env/.env:3"),))
    assert look(lambda: snapshot) is snapshot


def test_no_secret_stands_in_the_repr_of_what_is_held() -> None:
    assert "hunter2" not in repr(look(Inner()))


class Hostile:
    items: ClassVar[dict[str, Any]] = {}


def test_settings_that_contain_themselves_are_an_error_and_no_endless_loop() -> None:
    Hostile.items["itself"] = Hostile.items
    with pytest.raises(RecursionError):
        look(Hostile)
