"""The real stack, started and stopped in every way."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from runbooks.cli import app
from runbooks.errors import UserError
from runbooks.lab import Lab, processes, services, start
from runbooks.lab.health import look_at_services
from runbooks.lab.ports import Ports, Reservations
from runbooks.lab.state import read_state
from runbooks.settings import load_settings
from runbooks.target import Target
from tests.lab.conftest import NewRoot, discard
from tests.support.commands import need
from tests.support.waiting import wait_until

RUNBOOKS = str(processes.scripts_folder() / "runbooks")
UP = [RUNBOOKS, "up", "--free-ports", "--json"]
SERVICES = ["broker", "mock", "api", "worker"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([RUNBOOKS, *arguments], capture_output=True, text=True, check=False)


def is_up(root: Path) -> bool:
    return (root / "run" / "state.json").exists() and bool((state := read_state(root)) and state.services)


def nothing_runs(root: Path) -> bool:
    return not processes.lab_processes(root)


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Lab]]:
    """Two labs that were started at once; tests only look at them and create jobs."""
    roots = [tmp_path_factory.mktemp("labs").resolve() / name for name in ("one", "another one")]
    with ExitStack() as stack:
        for root in roots:
            stack.callback(discard, root)
        with ThreadPoolExecutor() as threads:
            starting = [threads.submit(Lab.start, root, free_ports=True) for root in roots]
        made = [future.result() for future in starting]
        yield made
        for lab in made:
            lab.discard()
            assert nothing_runs(lab.root)
            assert not lab.root.exists()


@pytest.mark.e2e
class TestWhileItRuns:
    def test_labs_that_run_at_once_keep_their_jobs_apart(self, labs: list[Lab]) -> None:
        for lab in labs:
            target = Target.from_environment(lab.environment())
            job = target.wait_for_job(target.create_job().id)
            assert job.status == "completed", job.error_message
            assert [path.is_relative_to(lab.root) and path.is_file() for path in job.output_paths] == [True]
            assert len(target.prompts_received()) == 1

    def test_every_service_answers(self, labs: list[Lab]) -> None:
        seen = look_at_services(labs[0].state, labs[0].services())
        assert [(health.service.name, health.answers) for health in seen] == [(name, True) for name in SERVICES]

    def test_the_pattern_of_the_incident_report_finds_no_process_of_the_lab(self, labs: list[Lab]) -> None:
        need("pgrep")
        found = subprocess.run(["pgrep", "-f", "celery.*local-demo"], capture_output=True, text=True, check=False)
        ours = {process.pid for process in processes.lab_processes(labs[0].root)}
        # make itself has the mark only in what it starts.
        ours |= {parent.pid for pid in ours for parent in psutil.Process(pid).parents() if parent.name() == "make"}
        assert len(ours) >= 7
        assert ours & {int(pid) for pid in found.stdout.split()} == set()

    def test_the_worker_is_a_child_of_make_s_shell_as_in_the_real_one(self, labs: list[Lab]) -> None:
        main = psutil.Process(labs[0].state.service("worker").pid)
        assert main.cmdline()[-5:] == [
            *("-A", processes.WORKER_APP, "worker"),
            *("--loglevel=info", "--queues=default,generation"),
        ]
        assert [parent.name() for parent in main.parents()[:2]] == ["sh", "make"]
        assert main.environ()["ENV_TARGET"] == "local-demo"
        assert main.terminal() is None

    def test_it_cannot_be_started_twice(self, labs: list[Lab]) -> None:
        with pytest.raises(UserError, match="is running already"):
            Lab.start(labs[0].root, free_ports=True)
        assert read_state(labs[0].root) == labs[0].state

    def test_status_shows_all_of_it_and_no_password(self, labs: list[Lab]) -> None:
        shown = run("status", "--json", "--root", labs[1].root)
        assert (shown.returncode, shown.stderr) == (0, "")
        data = json.loads(shown.stdout)
        assert data["ok"] is True
        assert [(service["name"], service["answers"]) for service in data["services"]] == [
            (name, True) for name in SERVICES
        ]
        assert data["pages"] == {
            "generate": f"{labs[1].environment()['API_URL']}/",
            "status": f"{labs[1].environment()['API_URL']}/status",
        }
        assert all(httpx.get(url, trust_env=False).status_code == 200 for url in data["pages"].values())
        table = run("status", "--root", labs[1].root)
        assert table.returncode == 0
        assert all(service["url"] in table.stdout for service in data["services"])

    def test_another_process_can_attach(self, labs: list[Lab]) -> None:
        attached = Lab.attach(labs[0].root)
        assert attached.environment() == labs[0].environment()
        assert attached.services() == labs[0].services()


@pytest.mark.e2e
def test_the_incident_is_a_worker_on_the_old_value_and_all_else_on_the_new(new_root: NewRoot) -> None:
    root = new_root("the incident's")
    with Lab.start(root, incident=True, free_ports=True) as lab:
        _see_the_incident(root, lab)
    assert nothing_runs(root)


def _see_the_incident(root: Path, lab: Lab) -> None:
    target = Target.from_environment(lab.environment())
    worker = psutil.Process(lab.state.service("worker").pid).environ()
    now = load_settings(root, "local-demo", {}).settings
    assert (worker["COMFYUI_URL"], now.comfyui_url) == (target.real_url, target.mock_url)
    assert (worker["COMFYUI_OUTPUT_DIR"], now.comfyui_output_dir) == (
        str(target.real_output_dir),
        str(target.mock_output_dir),
    )
    assert f"ComfyUI URL: {target.mock_url}\n" in (root / "logs" / "api.log").read_text()
    assert f"ComfyUI URL: {target.real_url}\n" in target.worker_log.read_text()
    job = target.wait_for_job(target.create_job().id)
    assert job.status == "failed"
    assert f"Failed to connect to ComfyUI at {target.real_url}" in (job.error_message or "")
    assert target.prompts_received() == []


@pytest.mark.e2e
def test_detached_it_outlives_its_command_until_down(new_root: NewRoot, tmp_path: Path) -> None:
    root = new_root('my "detached" lab')
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("The runbooks")
    up = run("up", "--free-ports", "--detach", "--json", "--root", root, "--site", tmp_path / "site")
    assert up.returncode == 0, up.stderr
    data = json.loads(up.stdout)
    assert [service["name"] for service in data["services"]] == [*SERVICES, "site"]
    assert httpx.get(data["services"][-1]["url"], trust_env=False).text == "The runbooks"
    assert data["environment"]["GENONAUT_ROOT"] == str(root)
    assert all(psutil.pid_exists(service["pid"]) for service in data["services"] if service["pid"])

    mock = next(service for service in data["services"] if service["name"] == "mock")
    psutil.Process(mock["pid"]).kill()
    down = run("status", "--json", "--root", root)
    assert down.returncode == 1
    problems = {service["name"]: service["problem"] for service in json.loads(down.stdout)["services"]}
    assert problems == dict.fromkeys([*SERVICES, "site"]) | {
        "mock": f"its process has ended; see {root}/logs/kernie-gen.log"
    }

    stopped = run("down", "--root", root)
    assert stopped.returncode == 0, stopped.stderr
    assert re.search(r"Stopped \d+ processes; nothing of the lab .* is left running", stopped.stdout)
    assert nothing_runs(root)
    again = run("status", "--root", root)
    assert (again.returncode, "is not running" in again.stdout) == (1, True)


@pytest.mark.e2e
def test_down_stops_a_worker_that_was_started_by_hand_and_the_up_that_watches(new_root: NewRoot) -> None:
    root = new_root()
    with subprocess.Popen([*UP, "--root", root], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        wait_until(lambda: up.poll() is not None or is_up(root), 60, "the lab to be up")
        by_hand = processes.spawn(
            ["make", "celery-demo"], root=root, environ=dict(os.environ), log=root / "logs" / "by-hand.log"
        )
        wait_until(lambda: b"ready." in (root / "logs" / "by-hand.log").read_bytes(), 30, "the worker by hand")
        assert run("down", "--root", root).returncode == 0
        assert nothing_runs(root)
        assert up.poll() == 0, "down waits for it"
        assert up.stderr is not None
        assert "Another command has stopped the lab." in up.stderr.read()
    wait_until(lambda: by_hand.poll() is not None, 5, "make to end")


@pytest.mark.e2e
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_foreground_up_stops_everything(number: int, code: int, new_root: NewRoot) -> None:
    root = new_root()
    with subprocess.Popen([*UP, "--root", root], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        wait_until(lambda: up.poll() is not None or is_up(root), 60, "the lab to be up")
        state = read_state(root)
        up.send_signal(number)
        _, said = up.communicate(timeout=30)
    assert up.returncode == code
    assert "Stopped; nothing is left running." in said
    assert "Traceback" not in said
    assert nothing_runs(root)
    assert state is not None
    assert state.guardian is not None
    assert state.guardian.find() is None
    assert "Warm shutdown" in (root / "logs" / "worker.log").read_text(), "the worker was asked, not killed"


@pytest.mark.e2e
def test_a_ctrl_c_while_it_comes_up_leaves_nothing(new_root: NewRoot) -> None:
    root = new_root()
    with subprocess.Popen([*UP, "--root", root], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        wait_until(lambda: up.poll() is not None or not nothing_runs(root), 30, "its first process")
        up.send_signal(signal.SIGINT)
        out, said = up.communicate(timeout=30)
    assert (up.returncode, out) == (130, "")
    assert "Traceback" not in said
    assert nothing_runs(root)


@pytest.mark.e2e
def test_a_killed_up_leaves_nothing(new_root: NewRoot) -> None:
    root = new_root()
    with subprocess.Popen([*UP, "--root", root], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        wait_until(lambda: up.poll() is not None or is_up(root), 60, "the lab to be up")
        state = read_state(root)
        up.kill()
    assert state is not None
    assert state.guardian is not None
    wait_until(lambda: state.guardian is None or state.guardian.find() is None, 30, "the guardian to be done")
    assert nothing_runs(root)
    assert (root / "logs" / "lab.log").read_text() == "The process that started this lab has died: stopping the lab.\n"


@pytest.mark.e2e
def test_a_service_that_ends_while_it_starts_takes_all_down_and_its_last_words_are_told(
    new_root: NewRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "celery").touch()
    (scripts / "kernie-gen").write_text("#!/bin/sh\necho 'no paint left'\nexit 3\n")
    (scripts / "kernie-gen").chmod(0o755)
    monkeypatch.setattr(services, "scripts_folder", lambda: scripts)
    root = new_root()
    with pytest.raises(UserError) as error:
        Lab.start(root, free_ports=True)
    assert error.value.what == "The mock ended with exit code 3; the last line of its log is: no paint left"
    assert error.value.do == f"Read {root}/logs/kernie-gen.log; everything else was stopped again."
    assert nothing_runs(root)
    assert read_state(root) is None


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    """Stand in for the default ports. None is taken by anybody but this test."""
    with Reservations() as reservations:
        made = Ports(broker=0, api=reservations.choose(), mock=reservations.choose(), real=reservations.choose())
        monkeypatch.setattr(start, "Ports", lambda broker: replace(made, broker=broker))
        yield made


@pytest.mark.parametrize("service", ["api", "mock"])
def test_a_taken_port_is_named_with_its_holder_and_nothing_is_started(
    service: str, ports: Ports, tmp_path: Path
) -> None:
    port = getattr(ports, service)
    with socket.create_server(("127.0.0.1", port)):
        result = CliRunner().invoke(app, ["up", "--detach", "--root", str(tmp_path / "lab")])
    assert result.exit_code == 2
    assert re.match(
        rf"Port {port}, wanted for the {service}, is taken by pid {os.getpid()} \(", result.stderr, re.IGNORECASE
    )
    assert "--free-ports" in result.stderr
    assert not (tmp_path / "lab").exists()


def test_something_on_the_real_comfyui_s_port_would_spoil_the_incident(ports: Ports, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", ports.real)):
        result = CliRunner().invoke(app, ["up", "--detach", "--incident", "--root", str(tmp_path / "lab")])
    assert result.exit_code == 2
    assert 'wanted for the "real ComfyUI", which must not answer in the incident' in result.stderr
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("REDIS_URL", "redis://127.0.0.1:1/0", "The broker redis://127.0.0.1:1/0 cannot be used: "),
        ("CELERY_BROKER_URL", "amqp://localhost", "The broker amqp://localhost is not a Redis URL."),
        ("DATABASE_URL", "postgresql://127.0.0.1:1/x", "The job store postgresql://127.0.0.1:1/x cannot be used: "),
    ],
)
def test_a_server_that_is_down_is_one_sentence_and_nothing_is_started(
    variable: str, value: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REDIS_URL", "CELERY_BROKER_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    result = CliRunner().invoke(app, ["up", "--detach", "--free-ports", "--root", str(tmp_path / "lab")])
    assert result.exit_code == 2
    assert result.stderr.startswith(what)
    assert not (tmp_path / "lab").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(
        app, ["up", "--detach", "--free-ports", "--json", "--root", str(tmp_path / "file" / "lab")]
    )
    assert result.exit_code == 2
    assert result.stderr.startswith("The lab's folder cannot be written: ")
    assert json.loads(result.stdout)["ok"] is False


def test_a_site_that_was_not_built_is_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["up", "--detach", "--free-ports", "--root", str(tmp_path / "lab"), "--site", str(tmp_path)]
    )
    assert (result.exit_code, result.stderr) == (2, f"There is no site in {tmp_path}.\nBuild it first: make site\n")


def test_a_name_that_cannot_be_an_env_target_is_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["up", "--detach", "--free-ports", "--root", str(tmp_path / "lab"), "--env-target", "../x"]
    )
    assert result.exit_code == 2
    assert result.stderr.startswith("'../x' cannot be an ENV_TARGET.")


def test_what_is_not_installed_is_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "NEEDED", ("celery", "no_such_package"))
    result = CliRunner().invoke(app, ["up", "--detach", "--free-ports", "--root", str(tmp_path / "lab")])
    assert result.exit_code == 2
    assert "not installed: no_such_package." in result.stderr
    assert "pip install 'genonaut-runbooks[lab]'" in result.stderr
