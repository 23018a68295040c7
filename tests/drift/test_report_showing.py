"""What may be a secret is not shown, whatever its name."""

from __future__ import annotations

import pytest

from runbooks.drift.adapters import Held, look
from runbooks.drift.fingerprint import Salt
from runbooks.drift.reporter import setting_of
from runbooks.drift.showing import shown
from runbooks.redaction import MASK
from tests.support.planted import NAMES, PLANTED, URLS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value", [PLANTED, "hunter2", "correct horse battery", "swordfish", "eyJhbGciOi.J9.c2ln", "{}/x"]
)
def test_a_secret_is_shown_under_no_name(name: str, value: str) -> None:
    assert shown(name, value.format(PLANTED)) == MASK


@pytest.mark.parametrize("url", URLS)
def test_a_secret_is_shown_in_no_part_of_a_url(url: str) -> None:
    seen = shown("SOME_URL", url.format(PLANTED, PLANTED))
    assert PLANTED not in seen
    assert MASK in seen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COMFYUI_URL", "http://localhost:8189"),
        ("REDIS_URL", "redis://127.0.0.1:6379/1"),
        ("DATABASE_URL", "sqlite:////srv/genonaut/run/genonaut.db"),
        ("COMFYUI_OUTPUT_DIR", "/srv/genonaut/output/kernie-gen"),
        ("COMFYUI_OUTPUT_DIR", "output/kernie-gen"),
        ("COMFYUI_OUTPUT_DIR", "/home/me/ComfyUI_windows_portable/output-2026-11-23"),
        ("COMFYUI_TIMEOUT", "30.0"),
        ("API_PORT", "8001"),
        ("API_HOST", "0.0.0.0"),
        ("API_HOST", "api.example.com"),
        ("DEBUG", "true"),
        ("LOG_LEVEL", "INFO"),
        ("EMPTY", ""),
    ],
)
def test_what_an_operator_needs_is_shown_as_it_is(name: str, value: str) -> None:
    assert shown(name, value) == value


def test_a_public_word_is_shown_but_no_token_that_stands_in_the_code() -> None:
    assert shown("SAMPLER", "euler", public=True) == "euler"
    assert shown("SAMPLER", PLANTED, public=True) == MASK
    assert shown("API_KEY", "changeme", public=True) == MASK


def test_equal_secrets_have_equal_fingerprints_under_one_salt_and_no_other() -> None:
    salt, other = Salt.random(), Salt.random()
    one, same, another = (setting_of(Held("PASSWORD", text), salt) for text in ("hunter2", "hunter2", "hunter3"))
    assert one.value == same.value == another.value == MASK
    assert one.fingerprint == same.fingerprint != another.fingerprint
    assert setting_of(Held("PASSWORD", "hunter2"), other).fingerprint != one.fingerprint
    assert Salt(salt.value).id == salt.id != other.id
    assert salt.value.hex() not in salt.id


def test_guessing_a_secret_from_its_fingerprint_is_slow() -> None:
    import time

    salt = Salt.random()
    began = time.process_time()
    for number in range(3):
        salt.fingerprint(f"guess {number}", secret=True)
    assert (time.process_time() - began) / 3 > 0.002


def test_a_value_declared_as_a_secret_is_one_whatever_it_looks_like() -> None:
    from pydantic import BaseModel, SecretStr

    class Settings(BaseModel):
        port: SecretStr = SecretStr("8001")

    snapshot = look(Settings())
    assert snapshot
    assert setting_of(snapshot.held[0], Salt.random()).value == MASK
    assert "8001" not in repr(snapshot)
