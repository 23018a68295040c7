"""Stopping, on stand-ins for the services: processes that carry a lab's mark and do as they are told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runbooks.errors import UserError
from runbooks.lab import processes, stop
from runbooks.lab.lab import stop_folder
from runbooks.lab.state import lock
from tests.support.waiting import wait_until

READY = "import pathlib, signal, subprocess, sys, time; ready = lambda: pathlib.Path(sys.argv[1]).touch()\n"
OBEDIENT = READY + "ready(); time.sleep(60)"
STUBBORN = READY + "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); time.sleep(60)"
# A worker's main process has a child with its own command line. The child tells when it gets a signal.
WORKER = (
    READY
    + """
def told(number, frame):
    pathlib.Path(sys.argv[1]).with_suffix(".signalled").touch()

if "child" in sys.argv:
    signal.signal(signal.SIGTERM, told)
    ready()
    time.sleep(60)
child = subprocess.Popen([sys.executable, *sys.orig_argv[1:], "child"])
def end(number, frame):
    child.kill()
    child.wait()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
time.sleep(60)
"""
)


class StandIns:
    """Starts processes that belong to labs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[psutil.Process] = []

    def root(self, name: str) -> Path:
        root = self.folder / name
        (root / "run").mkdir(parents=True, exist_ok=True)
        return root

    def start(self, root: Path, code: str, *arguments: str) -> psutil.Process:
        flag = self.folder / f"ready-{len(self.started)}"
        environ = processes.lab_environment(root, "local-demo", ())
        command = [sys.executable, "-c", code, str(flag), *arguments]
        started = processes.spawn(command, root=root, environ=environ, log=self.folder / "log")
        self.started.append(psutil.Process(started.pid))
        log = self.folder / "log"
        wait_until(flag.exists, 20, f"a stand-in to start: {log.read_text()}")
        return self.started[-1]


@pytest.fixture
def stand_ins(tmp_path: Path) -> Iterator[StandIns]:
    made = StandIns(tmp_path.resolve())
    yield made
    for process in made.started:
        if processes.is_alive(process):
            process.kill()


def test_only_processes_of_this_lab_are_stopped(stand_ins: StandIns) -> None:
    one, other = stand_ins.root("one"), stand_ins.root("other")
    mine = [stand_ins.start(one, OBEDIENT) for _ in range(2)]
    theirs = stand_ins.start(other, OBEDIENT)
    assert {process.pid for process in processes.lab_processes(one)} == {process.pid for process in mine}
    assert stop.stop_lab(one) == 2
    assert not any(processes.is_alive(process) for process in mine)
    assert processes.is_alive(theirs)


def test_of_a_worker_the_main_process_is_signalled_and_no_pool_child(stand_ins: StandIns) -> None:
    root = stand_ins.root("lab")
    main = stand_ins.start(root, WORKER, "-A", processes.WORKER_APP, "worker")
    (child,) = main.children()
    assert [process.pid for process in processes.worker_mains([main, child])] == [main.pid]
    said: list[str] = []
    assert stop.stop_lab(root, say=said.append) == 2
    assert not list(stand_ins.folder.glob("*.signalled"))
    assert said == []


def test_what_does_not_end_in_time_is_killed_and_that_is_said(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop, "OTHERS_GRACE", 0.3)
    root = stand_ins.root("lab")
    process = stand_ins.start(root, STUBBORN)
    said: list[str] = []
    stop.stop_lab(root, say=said.append)
    assert not processes.is_alive(process)
    assert said == [f"The lab's process (pid {process.pid}) did not end within 0.3 s and was killed."]


def test_a_worker_that_does_not_end_in_time_is_killed_and_the_lost_job_is_told(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop, "WORKER_PATIENCE", 0.1)
    monkeypatch.setattr(stop, "WORKER_GRACE", 0.3)
    root = stand_ins.root("lab")
    process = stand_ins.start(root, STUBBORN, "-A", processes.WORKER_APP, "worker")
    said: list[str] = []
    stop.stop_lab(root, say=said.append)
    assert not processes.is_alive(process)
    lost = "A job that it was running stays `running`."
    assert said == [
        f"The worker (pid {process.pid}) finishes its running job; it has 0.3 s.",
        f"The worker (pid {process.pid}) did not end within 0.3 s and was killed. {lost}",
    ]


def test_an_interrupted_stop_kills_what_is_left(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "WORKER_PATIENCE", 0.1)
    root = stand_ins.root("lab")
    stubborn = stand_ins.start(root, STUBBORN, "-A", processes.WORKER_APP, "worker")
    other = stand_ins.start(root, OBEDIENT)

    def second_ctrl_c(_text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop.stop_lab(root, say=second_ctrl_c)
    assert not processes.is_alive(stubborn)
    assert not processes.is_alive(other)


def test_kill_asks_nobody(stand_ins: StandIns) -> None:
    root = stand_ins.root("lab")
    process = stand_ins.start(root, STUBBORN)
    said: list[str] = []
    assert stop.stop_lab(root, kill=True, say=said.append) == 1
    assert not processes.is_alive(process)
    assert said == []


def test_a_shell_that_carries_the_mark_does_not_stop_itself(stand_ins: StandIns) -> None:
    root = stand_ins.root("lab")
    code = "import pathlib, sys; from runbooks.lab.stop import stop_lab; print(stop_lab(pathlib.Path(sys.argv[1])))"
    environ = processes.lab_environment(root, "local-demo", ())
    shell = ["/bin/sh", "-c", '"$@"; echo "still here"', "sh", sys.executable, "-c", code, str(root)]
    run = subprocess.run(shell, env=environ, capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["0", "still here"]


def test_a_lab_whose_folder_was_removed_is_stopped_too(stand_ins: StandIns) -> None:
    root = stand_ins.root("lab")
    process = stand_ins.start(root, OBEDIENT)
    (root / "run").rmdir()
    root.rmdir()
    assert stop_folder(root) == 1
    assert not processes.is_alive(process)


def test_a_folder_without_a_lab_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no lab in"):
        stop_folder(tmp_path)


def test_one_command_at_a_time_changes_a_lab(stand_ins: StandIns) -> None:
    root = stand_ins.root("lab")
    with lock(root), pytest.raises(UserError, match="Another command has been starting or stopping"), lock(root, 0.1):
        pass
    with lock(root, 0.1):
        pass


def test_a_lock_that_cannot_be_opened_is_one_sentence(stand_ins: StandIns) -> None:
    root = stand_ins.root("lab")
    (root / "run" / "lock").mkdir()
    with pytest.raises(UserError, match="lock cannot be opened: is a directory"):
        stop.stop_lab(root)
