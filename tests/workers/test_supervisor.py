"""Who keeps a worker running."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from runbooks.drift import ProcessView, look_at
from runbooks.workers import KeptByAnotherError, restart_worker
from runbooks.workers.supervisor import (
    Keeper,
    container_id,
    kept_by_container,
    kept_by_supervisor,
    kept_by_systemd,
    program_of,
    starters_above,
    unit_of,
    who_keeps,
)
from tests.support.waiting import wait_until
from tests.workers.installation import ARGV, STANDIN, Installation

DOCKER_ID = "4f" * 32
COMMAND = [sys.executable, str(STANDIN), *ARGV]


def main_pid_is(pid: int | None) -> Callable[[str, bool], int | None]:
    def main_pid(unit: str, of_user: bool) -> int | None:
        return pid

    return main_pid


def view(pid: int, *argv: str, ppid: int = 1, environ: Mapping[str, str] | None = None) -> ProcessView:
    me = look_at(os.getpid())
    assert me is not None
    return ProcessView(
        pid=pid,
        ppid=ppid,
        argv=argv,
        environ=environ or {},
        cwd=me.cwd,
        user=me.user,
        uid=me.uid,
        started=me.started,
        terminal=None,
        attended=False,
        stopped=False,
        handle=me.handle,
    )


WORKER = view(40, "celery", *ARGV, ppid=30)


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        (["/usr/bin/supervisord", "-n"], "supervisord"),
        (["/usr/bin/python3", "/usr/bin/supervisord", "-c", "x.conf"], "supervisord"),
        (["python", "-u", "-m", "honcho", "start"], "honcho"),
        (["PM2 v5.3.0: God Daemon (/home/me/.pm2)"], "PM2"),
        (["-bash"], "bash"),
        (["/bin/sh", "-c", "supervisord"], "sh"),
    ],
)
def test_a_program_is_known_below_its_interpreter(argv: list[str], program: str) -> None:
    assert program_of(argv) == program


def test_only_what_started_the_worker_counts_as_its_starters() -> None:
    sh = view(30, "/bin/sh", "-c", "celery …", ppid=20)
    make = view(20, "make", "celery-demo", ppid=10)
    typed_into = view(10, "-bash", ppid=5)
    assert starters_above([sh, make, typed_into]) == (sh, make)
    test_run = view(10, "python", "-m", "pytest", ppid=5)
    assert starters_above([sh, make, test_run]) == (sh, make)


@pytest.mark.parametrize(
    ("keeper", "environ", "command"),
    [
        (["supervisord"], {"SUPERVISOR_PROCESS_NAME": "demo-worker"}, "supervisorctl restart demo-worker"),
        (["circusd", "x.ini"], {}, "circusctl restart NAME"),
        (["PM2 v5.3.0: God Daemon"], {"name": "demo"}, "pm2 restart demo --update-env"),
        (["runsv", "demo"], {}, f"sv restart {Path.cwd()}"),
        (["s6-supervise", "demo"], {}, f"s6-svc -r {Path.cwd()}"),
        (["python", "/venv/bin/honcho", "start"], {}, "Stop honcho where it runs (Ctrl-C once)"),
    ],
)
def test_a_supervisor_is_named_with_its_own_command(keeper: list[str], environ: dict[str, str], command: str) -> None:
    kept = kept_by_supervisor(view(40, "celery", *ARGV, environ=environ), view(30, *keeper))
    assert kept is not None
    assert kept.by is Keeper.SUPERVISOR
    assert command in kept.do


def test_an_ordinary_parent_is_no_supervisor() -> None:
    assert kept_by_supervisor(WORKER, view(30, "python", "-m", "pytest")) is None


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/celery-demo.service\n", ("celery-demo.service", False)),
        ("1:name=systemd:/system.slice/demo.service\n0::/system.slice/demo.service\n", ("demo.service", False)),
        ("0::/\n1:name=systemd:/system.slice/demo.service\n", ("demo.service", False)),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/demo.service\n",
            ("demo.service", True),
        ),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope\n", None),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_the_systemd_unit_is_read_from_the_cgroup(text: str, unit: tuple[str, bool] | None) -> None:
    assert unit_of(text) == unit


UNIT = "0::/system.slice/demo.service\n"


def test_a_unit_whose_main_process_is_the_worker_or_started_it_keeps_it() -> None:
    make = view(20, "make", "celery-demo")
    for main in (WORKER.pid, make.pid):
        kept = kept_by_systemd(WORKER, (WORKER, make), UNIT, main_pid_is(main))
        assert kept is not None
        assert kept.do == "Restart that: sudo systemctl restart demo.service"


def test_a_unit_of_the_user_is_restarted_without_sudo() -> None:
    text = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/demo.service\n"
    kept = kept_by_systemd(WORKER, (WORKER,), text, main_pid_is(WORKER.pid))
    assert kept is not None
    assert kept.do == "Restart that: systemctl --user restart demo.service"


def test_a_unit_that_only_happens_to_be_around_does_not_keep_it() -> None:
    """As a build agent's: everything that it runs lives in its cgroup."""
    assert kept_by_systemd(WORKER, (WORKER,), UNIT, main_pid_is(os.getpid())) is None


def test_without_systemctl_the_unit_s_own_word_counts() -> None:
    announced = view(40, "celery", *ARGV, environ={"SYSTEMD_EXEC_PID": "20"})
    make = view(20, "make", "celery-demo")
    assert kept_by_systemd(announced, (announced, make), UNIT, main_pid_is(None)) is not None
    assert kept_by_systemd(announced, (announced,), UNIT, main_pid_is(None)) is None


@pytest.mark.parametrize(
    "text",
    [
        f"0::/system.slice/docker-{DOCKER_ID}.scope\n",
        f"0::/docker/{DOCKER_ID}\n",
        f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{DOCKER_ID}.scope\n",
        f"0::/machine.slice/libpod-{DOCKER_ID}.scope\n",
        f"5:memory:/docker/{DOCKER_ID}\n0::/\n",
    ],
)
def test_a_container_is_known_by_its_cgroup(text: str) -> None:
    assert container_id(text) == DOCKER_ID
    kept = kept_by_container(WORKER, WORKER, text, "0::/user.slice\n")
    assert kept is not None
    assert f"docker restart {DOCKER_ID[:12]}" in kept.do


def test_a_worker_started_by_hand_in_the_same_container_is_not_the_container_s() -> None:
    text = f"0::/docker/{DOCKER_ID}\n"
    assert kept_by_container(WORKER, WORKER, text, text) is None


def test_a_pod_is_left_to_its_controller() -> None:
    in_pod = view(40, "celery", *ARGV, environ={"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "worker-7d9"})
    kept = kept_by_container(in_pod, in_pod, f"0::/kubepods/{DOCKER_ID}\n", "0::/\n")
    assert kept is not None
    assert kept.do.endswith("kubectl delete pod worker-7d9")


def test_a_worker_in_the_background_is_kept_by_nobody(no_broker: Installation) -> None:
    assert who_keeps(no_broker.standin()) is None


def test_a_worker_below_supervisord_is_refused_with_the_right_command(no_broker: Installation) -> None:
    no_broker.write("supervisord", "import subprocess, sys\nsubprocess.run(sys.argv[1:])\n")
    supervisor = no_broker.run(
        [sys.executable, "supervisord", "/bin/sh", "-c", '"$@"; exit $?', "sh", *COMMAND],
        {"ENV_TARGET": "local-demo", "SUPERVISOR_PROCESS_NAME": "worker", "SUPERVISOR_GROUP_NAME": "demo"},
    )
    no_broker.ready(1)
    with pytest.raises(KeptByAnotherError) as refused:
        restart_worker("local-demo", no_broker.root, take_over=True)
    assert f"supervisord (pid {supervisor})" in refused.value.what
    assert refused.value.do == "Restart it there: supervisorctl restart demo:worker"
    assert refused.value.exit_code == 2
    assert no_broker.signals() == []


def in_terminal(here: Installation, command: list[str]) -> str:
    """Start a command as if somebody had typed it into a terminal; the terminal's name."""
    ours, theirs = os.openpty()

    def own_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        command,
        cwd=here.root,
        env=here.environment({"ENV_TARGET": "local-demo"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=own_terminal,
    )
    here.adopt(process, ours, theirs)
    wait_until(lambda: (here.root / "signals.txt").exists() and here.mains(), 10, "the stand-in to be there")
    return os.ttyname(theirs)


@pytest.fixture
def terminal(no_broker: Installation) -> str:
    """A worker that somebody started with make in a terminal."""
    no_broker.write("Makefile", f"celery-demo:\n\t@{shlex.join(COMMAND)}; true\n")
    return in_terminal(no_broker, ["make", "celery-demo"])


def test_a_worker_in_a_terminal_is_refused_and_the_way_back_is_said(no_broker: Installation, terminal: str) -> None:
    with pytest.raises(KeptByAnotherError) as refused:
        restart_worker("local-demo", no_broker.root)
    assert f"terminal {terminal.removeprefix('/dev/')}, started there with: make celery-demo" in refused.value.what
    assert "Ctrl-C there once" in refused.value.do
    assert "exported in that shell survives" in refused.value.do
    assert "--take-over" in refused.value.do
    assert no_broker.signals() == []


def test_a_worker_in_a_terminal_can_be_taken_over(no_broker: Installation, terminal: str) -> None:
    (old,) = no_broker.mains()
    result = restart_worker("local-demo", no_broker.root, take_over=True, timeout=10)
    new = look_at(result.new_pids[0])
    assert new is not None
    assert new.terminal is None
    assert no_broker.signals() == [f"{old.pid} SIGTERM"]
    assert result.log == no_broker.root / "logs" / "worker.log"
    assert not psutil.pid_exists(old.pid) or look_at(old.pid) is None
    assert Path(f"/proc/{new.pid}/fd/1").resolve() == result.log


def test_a_background_job_that_writes_elsewhere_is_not_the_terminal_s(no_broker: Installation) -> None:
    in_terminal(no_broker, ["sh", "-mc", f"nohup {shlex.join(COMMAND)} > logs/worker.log 2>&1 < /dev/null & wait"])
    (worker,) = no_broker.mains()
    assert worker.terminal is not None
    assert who_keeps(worker) is None


def test_a_background_job_that_writes_to_the_terminal_is_the_terminal_s(no_broker: Installation) -> None:
    in_terminal(no_broker, ["sh", "-mc", f"{shlex.join(COMMAND)} & wait"])
    (worker,) = no_broker.mains()
    kept = who_keeps(worker)
    assert kept is not None
    assert kept.by is Keeper.TERMINAL
