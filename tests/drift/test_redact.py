from __future__ import annotations

import pytest

from runbooks.drift import redact, redact_text

SECRET_NAMES = [
    "DB_PASSWORD",
    "db-password",
    "PASSWD",
    "DB_PASS",
    "DB_PWD",
    "SSH_PASSPHRASE",
    "PASSWORD_SALT",
    "API_KEY",
    "APIKEY",
    "SECRET_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "ENCRYPTION_KEY",
    "SIGNING_KEY",
    "PRIVATE_KEY",
    "HF_TOKEN",
    "CREDENTIALS",
    "SENTRY_DSN",
    "JWT",
    "SESSION_COOKIE",
]


@pytest.mark.parametrize(
    "name",
    SECRET_NAMES,
)
def test_a_value_of_a_secret_name_is_masked(name: str) -> None:
    assert redact(name, "hunter2") == "****"


@pytest.mark.parametrize("name", ["COMFYUI_URL", "KEYBOARD", "MONKEY_PATCH", "AUTHOR", "ENV_TARGET"])
def test_an_ordinary_name_is_left_alone(name: str) -> None:
    assert redact(name, "http://localhost:8189") == "http://localhost:8189"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@localhost:6379/0", "redis://:****@localhost:6379/0"),
        ("postgresql+psycopg://me:hunter2@db/x", "postgresql+psycopg://me:****@db/x"),
        ("redis://:hun@ter2@localhost/0", "redis://:****@localhost/0"),
        ("https://hunter2@example/x", "https://****@example/x"),
        ("http://localhost/?token=hunter2&x=1", "http://localhost/?token=****&x=1"),
        (
            "Cannot connect to redis://:hunter2@localhost:1//: refused",
            "Cannot connect to redis://:****@localhost:1//: refused",
        ),
        ("http://localhost:8189", "http://localhost:8189"),
        ("mail me@home", "mail me@home"),
    ],
)
def test_credentials_inside_urls_are_masked(url: str, shown: str) -> None:
    assert redact("COMFYUI_URL", url) == shown
    assert redact_text(url) == shown


def test_an_empty_secret_is_shown_as_empty() -> None:
    assert redact("DB_PASSWORD", "") == ""
