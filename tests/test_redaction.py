from __future__ import annotations

import base64
import html

import pytest

from runbooks.redaction import MASK, Redactor, redact, redact_text

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


@pytest.mark.parametrize("name", ["COMFYUI_URL", "KEYBOARD", "MONKEY_PATCH", "AUTHOR", "ENV_TARGET", "PWD", "OLDPWD"])
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


def test_a_known_value_is_masked_wherever_it_stands_and_however_it_is_spelled() -> None:
    redactor = Redactor({"DB_PASSWORD": 'pa"ss wörd/1', "HOME": "/home/me"})
    for text in ('x pa"ss wörd/1 y', '{"k": "pa\\"ss w\\u00f6rd/1"}', "http://h/?q=pa%22ss%20w%C3%B6rd%2F1"):
        assert "ss" not in redactor(text).replace("****", "")
    assert redactor("/home/me") == "/home/me"


def test_the_password_inside_a_url_of_the_environment_is_masked_on_its_own() -> None:
    assert Redactor({"REDIS_URL": "redis://:hunt%40r2@h/0"})("said hunt@r2 and hunt%40r2") == "said **** and ****"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("API_KEY=abc123 go", "API_KEY=**** go"),
        ('{"api_key": "abc123", "n": 1}', '{"api_key": "****", "n": 1}'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ****"),
        ("password = 'abc'", "password = '****'"),
        ("TOKEN=$(cat file)", "TOKEN=$(cat file)"),
        ("if token == 3", "if token == 3"),
    ],
)
def test_what_follows_a_secret_name_is_masked(text: str, shown: str) -> None:
    assert Redactor()(text) == shown


def test_a_secret_that_code_assigns_is_learned() -> None:
    redactor = Redactor()
    redactor.learn("export DB_PASSWORD=hunter2\ncurl http://me:s3cret@host/")
    assert redactor("hunter2, s3cret") == "****, ****"


def test_every_line_of_a_long_secret_is_masked() -> None:
    redactor = Redactor({"PRIVATE_KEY": "-----BEGIN-----\nMIIabc\nxyz987\n"})
    assert redactor("MIIabc\nxyz987") == "****\n****"


def test_data_is_redacted_in_its_texts() -> None:
    redactor = Redactor({"TOKEN": "hunter2"})
    data = {"a": ["hunter2", 1, None], "password": "x", "n": {"b": "hunter2"}}
    assert redactor.data(data) == {"a": ["****", 1, None], "password": "****", "n": {"b": "****"}}


@pytest.mark.parametrize("before", ["", "ada:", "ab", "a"])
def test_a_secret_is_found_in_base64_hex_and_html(before: str) -> None:
    secret = "s3cr3t&Pa55-0123"
    redactor = Redactor({"API_KEY": secret})
    encoded = base64.b64encode(f"{before}{secret} and more".encode()).decode()
    assert encoded not in redactor(encoded)
    assert MASK in redactor(encoded)
    assert redactor(secret.encode().hex()) == redactor(html.escape(secret)) == MASK
