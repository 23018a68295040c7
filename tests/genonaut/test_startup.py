"""A process that cannot start says why in one sentence and exits with 2."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from runbooks.errors import UserError, exit_on_user_error
from runbooks.genonaut.worker.queue_app import _check_broker_url

API = ("-m", "runbooks.genonaut.api")
WORKER = ("-m", "celery", "-A", "runbooks.genonaut.worker.queue_app:celery_app", "worker", "--pool=solo")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with everything that is needed, but that nothing in it runs."""
    (tmp_path / "config").mkdir()
    (tmp_path / "env").mkdir()
    base = {
        "comfyui-url": "http://localhost:8000",
        "comfyui-output-dir": str(tmp_path),
        "redis-url": "redis://localhost:1/0",
        "database-url": f"sqlite:///{tmp_path / 'jobs.db'}",
        "api-host": "127.0.0.1",
        "api-port": 0,
    }
    (tmp_path / "config" / "base.json").write_text(json.dumps(base))
    (tmp_path / "config" / "local-demo.json").write_text("{}")
    return tmp_path


def start(root: Path, command: tuple[str, ...], **variables: str) -> str:
    """What the process writes on standard error; it must end by itself, with 2."""
    known = ("REDIS_URL", "CELERY_BROKER_URL", "DATABASE_URL", "COMFYUI_URL", "COMFYUI_OUTPUT_DIR", "API_PORT")
    environ = {name: value for name, value in os.environ.items() if name not in known}
    # Celery warns a worker of root on standard error.
    environ |= {"ENV_TARGET": "local-demo", "PYTHONWARNINGS": "ignore", **variables}
    run = subprocess.run(
        [sys.executable, *command], cwd=root, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 2, run.stderr
    assert "Traceback" not in run.stderr
    return run.stderr.strip()


@pytest.mark.parametrize("command", [API, WORKER], ids=["api", "worker"])
def test_a_broken_env_file_is_named_with_its_line(root: Path, command: tuple[str, ...]) -> None:
    (root / "env" / ".env.shared").write_text("# shared\nREDIS_URL redis://localhost\n")
    assert start(root, command) == (
        f"{root}/env/.env.shared:2 is 'REDIS_URL redis://localhost', expected KEY=value. "
        "Correct that line, or put # before it."
    )


def test_a_worker_without_its_job_store_does_not_start(root: Path) -> None:
    (root / "config" / "local-demo.json").write_text('{"database-url": "sqlite:////no/such/folder/jobs.db"}')
    assert start(root, WORKER).splitlines()[-1] == (
        "The job store sqlite:////no/such/folder/jobs.db cannot be used: unable to open database file. "
        "Check DATABASE_URL, and that the database runs and that this user may write to it."
    )


def test_an_api_whose_port_is_taken_does_not_start(root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (root / "config" / "local-demo.json").write_text(json.dumps({"api-port": port}))
        assert start(root, API) == (
            f"The API cannot listen on 127.0.0.1:{port}: address already in use. "
            "Stop what listens there, or set API_HOST and API_PORT."
        )
    assert not (root / "jobs.db").exists(), "nothing half-started is left"


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost:6379", "redis://localhost:port/0", "amqp://"])
def test_a_broker_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="is not that of a Redis server"):
        _check_broker_url(url)


@pytest.mark.parametrize(
    "url", ["redis://localhost:6379/0", "rediss://:secret@redis.example/1", "redis+socket:///run/redis.sock"]
)
def test_a_redis_url_is_taken(url: str) -> None:
    _check_broker_url(url)


def test_a_refused_broker_url_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, exit_on_user_error():
        _check_broker_url("https://me:secret@localhost/0")
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "The broker URL is not that of a Redis server. "
        "Write REDIS_URL, or CELERY_BROKER_URL where that is set, like redis://localhost:6379/0\n"
    )


def test_importing_the_application_reads_no_settings() -> None:
    """Or a tool that imports modules to look at them would be ended by a missing file."""
    import runbooks.genonaut.worker.queue_app as module

    assert "celery_app" not in vars(module)
    with pytest.raises(AttributeError, match="has no attribute 'celery'"):
        _ = module.celery
