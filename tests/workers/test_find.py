"""Finding, with stand-ins that look like workers to the operating system and start at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from runbooks.errors import UserError
from runbooks.workers import NoWorkerError, OtherUserError, find_workers, plan_restart, restart_worker
from tests.support.commands import need
from tests.support.waiting import wait_until
from tests.workers.installation import ARGV, STANDIN, Installation


def pids(here: Installation, **options: str) -> list[int]:
    return [worker.pid for worker in find_workers("local-demo", here.root, **options).workers]


def near(here: Installation) -> dict[int, str]:
    return {miss.worker.pid: miss.why for miss in find_workers("local-demo", here.root).near_misses}


def test_workers_of_another_target_folder_or_application_are_not_meant(no_broker: Installation, tmp_path: Path) -> None:
    elsewhere = Installation(tmp_path / "elsewhere", "redis://127.0.0.1:1/0")
    try:
        ours = no_broker.standin()
        other_target = no_broker.standin("local-dev")
        other_folder = elsewhere.standin()
        other_app = no_broker.standin(argv=["-A", "shop.tasks", "worker"])
        assert pids(no_broker) == [ours.pid]
        missed = near(no_broker)
        assert missed[other_target.pid] == "has ENV_TARGET=local-dev"
        assert missed[other_folder.pid] == f"works in {elsewhere.root}"
        assert other_app.pid not in missed
        assert pids(no_broker, app="shop.tasks") == [other_app.pid]
    finally:
        elsewhere.remove()


def test_a_shell_that_only_contains_the_text_is_not_found(no_broker: Installation) -> None:
    text = " ".join(ARGV)
    no_broker.run(["bash", "-c", f": 'celery {text}'; read -t 60 < <(sleep 60)"], {"ENV_TARGET": "local-demo"})
    no_broker.run(
        [sys.executable, "-c", "import signal; signal.pause()", "celery", *ARGV], {"ENV_TARGET": "local-demo"}
    )
    assert pids(no_broker) == []


def test_the_target_in_the_pattern_of_the_incident_report_matches_nothing_and_the_worker_is_found(
    no_broker: Installation,
) -> None:
    need("pgrep")
    worker = no_broker.standin()
    assert subprocess.run(["pgrep", "-f", "celery.*local-demo"], check=False).returncode == 1
    assert pids(no_broker) == [worker.pid]


def test_of_several_workers_those_on_the_broker_that_the_files_name_are_meant(no_broker: Installation) -> None:
    there = no_broker.standin(REDIS_URL="redis://127.0.0.1:1/0")
    other = no_broker.standin(REDIS_URL="redis://127.0.0.1:2/0")
    assert pids(no_broker) == [there.pid]
    assert near(no_broker)[other.pid] == "uses another broker"
    assert pids(no_broker, broker="redis://127.0.0.1:2/0") == [other.pid]


def test_the_only_worker_is_meant_also_when_its_broker_is_stale(no_broker: Installation) -> None:
    worker = no_broker.standin(REDIS_URL="redis://127.0.0.1:2/0")
    assert pids(no_broker) == [worker.pid]


def test_no_worker_is_said_with_the_near_misses_and_how_to_start_one(no_broker: Installation) -> None:
    other = no_broker.standin("local-dev")
    with pytest.raises(NoWorkerError) as found:
        restart_worker("local-demo", no_broker.root)
    assert f"No worker of local-demo runs in {no_broker.root}." in found.value.what
    assert f"pid {other.pid} has ENV_TARGET=local-dev" in found.value.what
    assert found.value.do == f"Start one: cd {no_broker.root} && make celery-demo"
    assert found.value.exit_code == 1


def test_an_unknown_target_is_named_with_the_known_ones(no_broker: Installation) -> None:
    with pytest.raises(UserError, match=r"ENV_TARGET is 'demo'.*local-demo, local-dev"):
        find_workers("demo", no_broker.root)


def test_a_pid_that_is_no_such_worker_is_refused_with_those_that_are(no_broker: Installation) -> None:
    worker = no_broker.standin()
    with pytest.raises(UserError, match=rf"{os.getpid()} is not .* --pid with one of: {worker.pid}"):
        plan_restart("local-demo", no_broker.root, pid=os.getpid())


def test_a_worker_that_may_not_be_looked_into_is_refused_with_the_right_command(
    no_broker: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = no_broker.standin()
    known = psutil.Process.environ

    def environ(process: psutil.Process) -> dict[str, str]:
        if process.pid == worker.pid:
            raise psutil.AccessDenied(process.pid)
        return known(process)

    monkeypatch.setattr(psutil.Process, "environ", environ)
    # Nobody else's worker may answer for ours.
    monkeypatch.setattr(psutil, "process_iter", lambda: iter([psutil.Process(worker.pid)]))
    with pytest.raises(OtherUserError) as refused:
        plan_restart("local-demo", no_broker.root)
    command = f"runbooks restart-worker --env-target local-demo --root {no_broker.root}"
    assert f"pid {worker.pid} of user {worker.user} may be the one" in refused.value.what
    assert f"sudo -u {worker.user} {command}" in refused.value.do
    assert refused.value.exit_code == 2


@pytest.fixture
def of_nobody(no_broker: Installation) -> int:
    if os.geteuid() != 0:
        pytest.skip("only root can start a worker of another user")
    return no_broker.standin(STANDIN_UID="65534").pid


def test_a_worker_of_another_user_is_not_restarted_even_by_root(no_broker: Installation, of_nobody: int) -> None:
    """Root could stop it, and would start it again as root."""
    with pytest.raises(OtherUserError) as refused:
        restart_worker("local-demo", no_broker.root)
    user = psutil.Process(of_nobody).username()
    assert refused.value.what == f"Worker pid {of_nobody} belongs to user {user}."
    assert f"sudo -u {user} runbooks restart-worker" in refused.value.do
    assert psutil.Process(of_nobody).is_running()
    assert no_broker.signals() == []


def test_a_worker_that_hides_behind_a_title_is_a_near_miss(no_broker: Installation) -> None:
    title = "[celeryd: celery@host:MainProcess] -active- (-A genonaut.worker.queue_app:celery_app worker)"
    pid = no_broker.run([title, str(STANDIN)], executable=sys.executable)
    wait_until(lambda: pid in near(no_broker), 10, "the title to be there")
    assert "setproctitle" in near(no_broker)[pid]


def test_without_a_make_target_the_command_to_start_a_worker_is_spelt_out(no_broker: Installation) -> None:
    (no_broker.root / "Makefile").unlink()
    with pytest.raises(NoWorkerError) as found:
        restart_worker("local-demo", no_broker.root)
    assert found.value.do.endswith(
        "set -a && . env/.env.shared && . env/.env.local-demo && set +a && "
        "ENV_TARGET=local-demo celery -A genonaut.worker.queue_app:celery_app worker"
    )


def test_windows_is_refused_in_so_many_words(no_broker: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UserError, match="cannot be found on Windows"):
        find_workers("local-demo", no_broker.root)
