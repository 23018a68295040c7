"""What cannot change in a running process is refused and named, and what has not changed is not announced."""

from __future__ import annotations

import logging

import pytest

from runbooks.settings import Reloader, needs_restart
from tests.reload.installation import OLD, Installation
from tests.support.waiting import wait_until


def wait_for_pending(reloader: Reloader) -> list[str]:
    wait_until(lambda: reloader.look().pending_restart, 10, "an edit to wait for a restart")
    return [str(edit) for edit in reloader.pending_restart]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("REDIS_URL=redis://elsewhere:6379/0", "redis_url"),
        ("DATABASE_URL=sqlite:///other.db", "database_url"),
        ("API_PORT=9000", "api_port"),
    ],
)
def test_what_cannot_change_live_is_kept_and_named(
    installation: Installation, line: str, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    reloader = installation.start()
    before = getattr(reloader.current(), field)
    installation.shared.write_text(f"{line}\nCOMFYUI_TIMEOUT=7\n")
    variable = line.partition("=")[0]
    assert wait_for_pending(reloader) == [f"{variable} (env/.env.shared:1)"]
    assert getattr(reloader.current(), field) == before
    assert reloader.current().comfyui_timeout == 7, "the rest of the edit is in force"
    assert reloader.pending_restart[0].says == line.partition("=")[2]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        f"{variable} (env/.env.shared:1) was edited and needs a restart: this process keeps what it started with."
    ]
    origin = reloader.state.loaded.origin(field.replace("_", "-"))
    assert str(origin).startswith("config/base.json"), "the origin is that of the value in force"


def test_a_pool_size_in_a_file_needs_a_restart(installation: Installation) -> None:
    installation.shared.write_text("CELERY_WORKER_CONCURRENCY=2\n")
    installation.environ["CELERY_WORKER_CONCURRENCY"] = "2"
    reloader = installation.start()
    installation.shared.write_text("CELERY_WORKER_CONCURRENCY=4\n")
    assert wait_for_pending(reloader) == ["CELERY_WORKER_CONCURRENCY (env/.env.shared:1)"]


def test_a_line_that_is_gone_needs_a_restart_too(installation: Installation) -> None:
    installation.shared.write_text("CELERY_BROKER_URL=redis://one\n")
    reloader = installation.start()
    installation.shared.write_text("# nothing any more\n")
    assert wait_for_pending(reloader) == ["CELERY_BROKER_URL (set by no file any more)"]


def test_an_edit_that_is_taken_back_needs_no_restart(installation: Installation) -> None:
    reloader = installation.start()
    installation.shared.write_text("API_PORT=9000\n")
    wait_for_pending(reloader)
    installation.shared.write_text("API_PORT=8001\n")
    wait_until(lambda: not reloader.look().pending_restart, 10, "nothing to wait for a restart")


def test_a_value_waiting_for_a_restart_is_not_shown(installation: Installation) -> None:
    reloader = installation.start()
    installation.shared.write_text("REDIS_URL=redis://:hunter2@elsewhere\n")
    wait_for_pending(reloader)
    assert "hunter2" not in f"{reloader.pending_restart} {reloader.pending_restart[0]}"


def test_keys_and_celery_variables_that_need_a_restart_are_known() -> None:
    yes = ("REDIS_URL", "CELERY_BROKER_URL", "DATABASE_URL", "API_HOST", "API_PORT", "CELERY_WORKER_CONCURRENCY")
    assert all(needs_restart(variable) for variable in yes)
    assert not any(needs_restart(variable) for variable in ("COMFYUI_URL", "COMFYUI_OUTPUT_DIR", "HOME"))


@pytest.mark.parametrize(
    "text",
    [
        f"# a comment more\nCOMFYUI_URL={OLD}\n",
        f"COMFYUI_URL=http://localhost:4\nCOMFYUI_URL={OLD}/\n",
        f"\nexport COMFYUI_URL='{OLD}'\n",
        f"\nCOMFYUI_URL={OLD}\nUNKNOWN=1\n",
    ],
    ids=["comment", "another spelling", "quotes", "an unknown variable"],
)
def test_an_edit_that_changes_no_value_announces_nothing(
    installation: Installation, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not as IOptionsMonitor, which fires when a file was touched."""
    caplog.set_level(logging.INFO)
    reloader = installation.start()
    settings, since = reloader.current(), reloader.state.since
    installation.target.write_text(text)

    def line_now() -> int | None:
        origin = reloader.look().loaded.origin("comfyui-url")
        return origin.line if origin else None

    wait_until(lambda: line_now() == 2, 10, "the edit to be read")
    assert reloader.current() is settings
    assert reloader.state.since == since
    assert caplog.messages == []


def test_a_change_is_announced_with_key_and_origin_and_no_value(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reloader = installation.start()
    since = reloader.state.since
    installation.target.write_text("COMFYUI_URL=http://me:hunter2@host\nCOMFYUI_TIMEOUT=7\n")
    wait_until(lambda: reloader.current().comfyui_timeout == 7, 10, "the edit to be in force")
    assert caplog.messages == [
        "Settings changed: comfyui-url (env/.env.local-demo:1), comfyui-timeout (env/.env.local-demo:2)"
    ]
    assert reloader.state.since > since
