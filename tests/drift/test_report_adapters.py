"""Settings of every usual kind are read, with origins where they can be known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from runbooks.drift.adapters import Held, Snapshot, look


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


class Model(BaseModel):
    """As pydantic-settings makes them: with a prefix, an env file, and the fields that were given."""

    model_config = ConfigDict(env_prefix="SHOP_", env_file=".env")  # type: ignore[typeddict-unknown-key]

    url: str = "http://default"
    timeout: float = 30.0
    kind: Kind = Kind.FAST
    mode: Literal["a", "b"] = "a"
    name: str = Field(default="n", validation_alias="SHOP_NAME_IN_FULL")
    broker: str = "redis://localhost"


def test_values_of_pydantic_settings_have_their_variable_their_line_or_are_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("# shop\nSHOP_TIMEOUT=5\nSHOP_URL=http://hidden\n")
    monkeypatch.setenv("SHOP_URL", "http://exported")
    monkeypatch.setenv("SHOP_NAME_IN_FULL", "long")
    settings = Model(url="http://exported", timeout=5, SHOP_NAME_IN_FULL="long", broker="redis://argument")
    assert held(settings) == {
        "url": ("http://exported", "environment variable SHOP_URL"),
        "timeout": ("5.0", ".env:2"),
        "kind": ("fast", "default"),
        "mode": ("a", "default"),
        "name": ("long", "environment variable SHOP_NAME_IN_FULL"),
        "broker": ("redis://argument", "argument or another source"),
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
