from __future__ import annotations

import shlex

import pytest

from runbooks.workers import DEFAULT_APP, read_command

APP = "genonaut.worker.queue_app:celery_app"


@pytest.mark.parametrize(
    "line",
    [
        f"celery -A {APP} worker --loglevel=info --queues=default,generation",
        f"/venv/bin/python /venv/bin/celery -A {APP} worker",
        f"/usr/bin/python3.12 -X dev -u -W ignore /venv/bin/celery --app={APP} worker",
        f"python -m celery -A{APP} worker -c 2",
        f"python3 -m celery --app {APP} --workdir /srv -q worker",
        f"/venv/bin/python /venv/lib/python3.11/site-packages/celery/__main__.py -A {APP} worker",
        f"celery worker -A {APP}",
    ],
)
def test_a_worker_is_recognised_however_celery_was_started(line: str) -> None:
    command = read_command(shlex.split(line))
    assert command is not None
    assert command.runs(DEFAULT_APP)


@pytest.mark.parametrize(
    "line",
    [
        f"bash -c 'pkill -f \"celery -A {APP} worker\"'",
        f"/bin/sh -c 'set -a && . env/.env.shared && celery -A {APP} worker'",
        f"make celery-demo CELERY='celery -A {APP} worker'",
        f"grep celery -A {APP} worker",
        f"vim /venv/bin/celery -A {APP} worker",
        f"celery -A {APP} inspect ping",
        f"celery -A {APP} call worker",
        f"celery -A {APP} beat",
        "celery worker",
        "python -c 'celery worker'",
        "python",
        "",
    ],
)
def test_text_that_merely_contains_the_command_is_no_worker(line: str) -> None:
    assert read_command(shlex.split(line)) is None


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (APP, True),
        (f"runbooks.{APP}", True),
        (f"my{APP}", False),
        ("other.queue_app:celery_app", False),
        (APP.replace(":celery_app", ":other"), False),
    ],
)
def test_the_application_is_compared_by_whole_module_names(given: str, meant: bool) -> None:
    command = read_command(["celery", "-A", given, "worker"])
    assert command is not None
    assert command.runs(APP) is meant


def test_any_other_celery_application_may_be_meant() -> None:
    command = read_command(["celery", "-A", "shop.tasks", "worker"])
    assert command is not None
    assert command.runs("shop.tasks")


@pytest.mark.parametrize("options", [["--logfile=logs/w.log"], ["-f", "logs/w.log"], ["--logfile", "logs/w.log"]])
def test_a_log_file_of_its_own_is_known(options: list[str]) -> None:
    command = read_command(["celery", "-A", APP, "worker", *options])
    assert command is not None
    assert command.log_file == "logs/w.log"
