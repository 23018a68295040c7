"""A lab in a temporary folder: what is left of it when the run that needed it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from redis import Redis

from runbooks.errors import UserError
from runbooks.lab import Lab
from runbooks.lab.processes import scripts_folder
from runbooks.lab.temporary import temporary_lab
from tests.lab.backends import redis_server
from tests.lab.test_up import is_up
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
PYTEST = [sys.executable, "-m", "pytest", "--markdown-docs", "docs/runbooks/verify-a-generation.md"]


def started_with(folder: Path) -> list[psutil.Process]:
    """Every process that has a folder as its temporary one: the run's, its lab's, its steps'."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.e2e
@pytest.mark.parametrize("command", [PYTEST, [scripts_folder() / "runbooks", "drill"]], ids=["pytest", "drill"])
def test_a_killed_run_leaves_no_process_no_folder_and_nothing_in_the_broker(command: list[str], tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "tmp"
    folder.mkdir()
    with redis_server(tmp_path / "redis") as broker, Redis.from_url(broker) as database:
        environ = {**os.environ, "TMPDIR": str(folder), "REDIS_URL": broker}
        environ.pop("CELERY_BROKER_URL", None)
        with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL) as run:
            wait_until(
                lambda: run.poll() is not None or any(is_up(root) for root in folder.glob("genonaut-*")),
                60,
                "its lab to be up",
            )
            assert run.poll() is None, "it ended by itself"
            assert database.dbsize(), "its lab uses the broker that it was given"
            run.kill()
        wait_until(lambda: not started_with(folder), 30, "everything that it started to have ended")
        assert not list(folder.glob("genonaut-*"))
        assert not database.dbsize()


def test_a_lab_that_does_not_start_leaves_its_logs_if_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def start(root: Path) -> Lab:
        raise UserError("The broker does not answer.", "Start it.")

    def start_and_write(root: Path) -> Lab:
        (root / "api.log").touch()
        return start(root)

    with pytest.raises(UserError), temporary_lab("page", start):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError), temporary_lab("page", start_and_write):
        pass
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("genonaut-page-")
    assert (left / "api.log").is_file()
