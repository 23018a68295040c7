from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from runbooks.errors import UserError
from runbooks.lab import Lab, LabState, ProcessId, Service, processes
from runbooks.lab.layout import make_folder
from runbooks.lab.state import read_state
from tests.support.waiting import wait_until


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    """A lab of which only this process runs, as its worker."""
    root = tmp_path.resolve() / "lab"
    make_folder(root)
    return LabState(
        root=root,
        env_target="local-demo",
        incident=True,
        started=time.time(),
        services=(
            Service("broker", "redis://localhost:1/0", None, None),
            Service("worker", "redis://localhost:1/0", ProcessId.of(os.getpid()), root / "logs" / "worker.log"),
        ),
        environment={"REDIS_URL": "redis://:secret@localhost:1/0"},
        guardian=ProcessId.of(os.getpid()),
    )


def test_what_is_written_is_read_again(state: LabState) -> None:
    state.write()
    assert read_state(state.root) == state


def test_the_state_is_for_its_owner_alone_as_it_may_hold_a_password(state: LabState) -> None:
    state.write()
    assert (state.root / "run" / "state.json").stat().st_mode & 0o077 == 0


def test_a_state_that_is_no_state_is_one_sentence(state: LabState) -> None:
    (state.root / "run" / "state.json").write_text("[]")
    with pytest.raises(UserError, match="json cannot be read"):
        read_state(state.root)


def test_a_later_process_with_the_same_pid_is_another_one(state: LabState) -> None:
    own = ProcessId.of(os.getpid())
    assert own.find() == psutil.Process()
    assert replace(own, created=own.created - 60).find() is None


def test_a_process_that_has_ended_is_gone_before_anybody_waits_for_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        known = ProcessId.of(process.pid)
        assert known.find() is not None
        process.kill()
        wait_until(lambda: known.find() is None, 5, "the zombie to count as gone")


def test_a_service_is_replaced_at_its_place(state: LabState) -> None:
    other = replace(state.services[0], url="redis://localhost:2/0")
    assert state.with_service(other).services == (other, state.services[1])
    with pytest.raises(KeyError):
        state.service("site")


def test_attaching_to_a_lab_that_does_not_run_is_one_sentence(state: LabState) -> None:
    with pytest.raises(UserError, match="is not running"):
        Lab.attach(state.root)


def test_a_worker_that_was_restarted_is_found_and_one_that_ended_has_no_process(state: LabState) -> None:
    dead = replace(state.service("worker"), process=ProcessId(os.getpid(), 1.0))
    lab = Lab(state.with_service(dead))
    assert lab.services()[1].process is None
    command = [sys.executable, "-c", "input()", "-A", processes.WORKER_APP, "worker"]
    environ = processes.lab_environment(state.root, "local-demo", ())
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE) as restarted:
        wait_until(lambda: lab.services()[1].pid == restarted.pid, 5, "the new worker to be found")
        restarted.kill()
