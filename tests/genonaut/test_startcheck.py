"""At its start a process says what is wrong, one warning each, or does not start; else it is silent."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from runbooks.drift.adapters import Snapshot
from runbooks.drift.health import PAGE
from runbooks.drift.report import Role
from runbooks.drift.reporter import Identity, Reporter
from runbooks.drift.strict import Problem
from runbooks.drift.whoami import name_of
from runbooks.errors import UserError
from runbooks.genonaut import holding, startcheck
from runbooks.genonaut.startcheck import check_at_start, comfyui, others, output_folder, shadowed
from runbooks.lab import Lab
from runbooks.lab.processes import MARKER, WORKER_APP
from runbooks.settings import Settings, load_settings, read_layers
from runbooks.workers import Restarted, restart_worker
from tests.adopt.broker import Broker
from tests.comfyui.fake import FakeComfyUI
from tests.support.silent import a_name_server_that_is_silent, a_server_that_is_silent
from tests.support.waiting import wait_until

NEW, OLD = "http://localhost:2", "http://localhost:1"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the real layout, and a process that was started in it with nothing exported."""
    for folder in ("config", "env", "pictures"):
        (tmp_path / folder).mkdir()
    base = {
        "comfyui-url": OLD,
        "comfyui-output-dir": str(tmp_path / "pictures"),
        "redis-url": "redis://127.0.0.1:1/0",
        "database-url": f"sqlite:///{tmp_path / 'jobs.db'}",
        "api-port": 0,
    }
    (tmp_path / "config" / "base.json").write_text(json.dumps(base, indent=0))
    (tmp_path / "config" / "local-demo.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(holding, "_STARTED_WITH", {"ENV_TARGET": "local-demo"})
    monkeypatch.setenv("ENV_TARGET", "local-demo")
    return tmp_path


def settings(root: Path) -> Settings:
    return load_settings(root, "local-demo", {}).settings


def said(problems: object) -> list[str]:
    return [str(problem).removesuffix(f" See {problem.page}") for problem in problems]  # type: ignore[attr-defined]


def test_an_exported_variable_that_hides_an_env_file_is_named_with_both_values_and_origins(root: Path) -> None:
    (root / "env" / ".env.local-demo").write_text(f"# demo\nCOMFYUI_URL={NEW}\n")
    layers = read_layers(root, "local-demo", {"COMFYUI_URL": OLD})
    assert said(shadowed(layers)) == [
        f"COMFYUI_URL={OLD} (environment variable COMFYUI_URL) hides {NEW} (env/.env.local-demo:2)."
    ]


def test_the_last_env_file_that_hides_another_one_is_named_too(root: Path) -> None:
    (root / "env" / ".env.local-demo").write_text(f"COMFYUI_URL={NEW}\n")
    (root / "env" / ".env").write_text(f"COMFYUI_URL={OLD}\n")
    assert said(shadowed(read_layers(root, "local-demo", {}))) == [
        f"COMFYUI_URL={OLD} (env/.env:1) hides {NEW} (env/.env.local-demo:1)."
    ]


def test_layers_that_agree_or_are_meant_to_override_are_no_problem(root: Path) -> None:
    (root / "env" / ".env.shared").write_text(f"COMFYUI_URL={OLD}\n")
    (root / "env" / ".env.local-demo").write_text(f"COMFYUI_URL={NEW}\n")
    sourced_by_make = {"COMFYUI_URL": NEW, "COMFYUI_OUTPUT_DIR": "/exported/over/json"}
    assert said(shadowed(read_layers(root, "local-demo", sourced_by_make))) == []


def test_a_secret_that_is_hidden_is_not_shown(root: Path) -> None:
    (root / "env" / ".env.local-demo").write_text("REDIS_URL=redis://:hunter2@localhost/0\n")
    (told,) = said(shadowed(read_layers(root, "local-demo", {"REDIS_URL": "redis://:other-pass1@localhost/0"})))
    assert "hunter2" not in told
    assert "other-pass1" not in told


def test_an_output_folder_is_there_and_may_be_written(root: Path) -> None:
    assert said(output_folder(settings(root))) == []
    (root / "pictures").rmdir()
    assert said(output_folder(settings(root))) == [
        f"COMFYUI_OUTPUT_DIR={root / 'pictures'} (config/base.json:3) is not there."
    ]
    (root / "pictures").write_text("")
    assert said(output_folder(settings(root)))[0].endswith("is no folder.")


def test_a_folder_of_somebody_else_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert said(output_folder(settings(root)))[0].endswith("may not be written by this user.")


def test_a_comfyui_that_does_not_answer_or_is_none_is_named(root: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        (root / "config" / "local-demo.json").write_text(json.dumps({"comfyui-url": url}))
        assert said([comfyui(settings(root))]) == [
            f"COMFYUI_URL={url} (config/local-demo.json:1): nothing listens there."
        ]
    with FakeComfyUI() as other:
        (root / "config" / "local-demo.json").write_text(json.dumps({"comfyui-url": other.url}))
        (told,) = said([comfyui(settings(root))])
        assert "is not ComfyUI's" in told


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


def older() -> Snapshot:
    """The settings of a process that was started with the old value."""
    return Snapshot(holding.held_by(load_settings(env_target="local-demo", environ={"COMFYUI_URL": OLD})))


def another_process(url: str, role: Role, every: float = 60) -> None:
    """What a process of another machine would say."""
    reporter = Reporter(older, Identity("genonaut", role, every=every), url)
    reporter._id, reporter._pid = f"elsewhere-{role}", 4_194_305
    from runbooks.drift import reporter as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "machine", lambda: "elsewhere")
        assert reporter.beat()


def test_another_process_that_holds_an_older_value_is_named_when_it_uses_it(root: Path, broker: Broker) -> None:
    (root / "env" / ".env.local-demo").write_text(f"COMFYUI_URL={NEW}\n")
    another_process(broker.url(), Role.API)
    assert said(others(broker.url())) == [], "the API talks to no ComfyUI"
    another_process(broker.url(), Role.MAIN)
    (told,) = said(others(broker.url()))
    assert told == (
        f"API 4194305 and worker main 4194305 hold COMFYUI_URL={OLD} (environment variable COMFYUI_URL), "
        f"the files say {NEW} (env/.env.local-demo:1)."
    )


def test_a_process_of_this_machine_that_has_ended_and_one_that_is_being_replaced_are_not_named(
    root: Path, broker: Broker
) -> None:
    (root / "env" / ".env.local-demo").write_text(f"COMFYUI_URL={NEW}\n")
    dead = Reporter(older, Identity("genonaut", Role.MAIN), broker.url())
    dead._id, dead._pid = f"{dead._id}-before", 4_194_305
    assert dead.beat()
    leaving = Reporter(older, Identity("genonaut", Role.MAIN, leaving=True), broker.url())
    leaving._pid = 4_194_306
    assert leaving.beat()
    assert said(others(broker.url())) == []


def test_only_the_very_process_that_this_one_replaces_may_be_stale_beside_it(
    root: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "env" / ".env.local-demo").write_text(f"COMFYUI_URL={NEW}\n")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as old:
        replaced = Reporter(older, Identity("genonaut", Role.MAIN), broker.url())
        replaced._id, replaced._pid = name_of(old.pid), old.pid
        assert replaced.beat()
        assert len(said(others(broker.url()))) == 1
        monkeypatch.setenv("RUNBOOKS_REPLACES", name_of(os.getppid()))
        assert len(said(others(broker.url()))) == 1, "another one"
        monkeypatch.setenv("RUNBOOKS_REPLACES", name_of(old.pid))
        assert said(others(broker.url())) == []


def test_a_silent_process_of_another_machine_may_have_ended_and_is_not_named(root: Path, broker: Broker) -> None:
    (root / "env" / ".env.local-demo").write_text(f"COMFYUI_URL={NEW}\n")
    another_process(broker.url(), Role.MAIN, every=0.001)
    wait_until(lambda: said(others(broker.url())) == [], 5, "it to count as silent")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://localhost"])
def test_a_broker_that_is_down_or_none_is_not_the_business_of_this_check(root: Path, url: str) -> None:
    assert said(others(url)) == []


@pytest.mark.parametrize("silent", [a_server_that_is_silent, a_name_server_that_is_silent])
@pytest.mark.parametrize("strict", ["0", "1"])
def test_a_broker_and_a_comfyui_that_hang_delay_a_start_by_less_than_a_second(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    silent: Callable[[], AbstractContextManager[str]],
    strict: str,
) -> None:
    monkeypatch.setenv("STRICT_CONFIG", strict)
    before = set(threading.enumerate())
    with silent() as address:
        values = {"comfyui-url": f"http://{address}", "redis-url": f"redis://{address}/0"}
        (root / "config" / "local-demo.json").write_text(json.dumps(values))
        began = time.perf_counter()
        if strict == "1":
            with pytest.raises(UserError, match=rf"COMFYUI_URL=http://{address} .* does not answer within 0\.8 s"):
                check_at_start(settings(root))
        else:
            check_at_start(settings(root))
        assert time.perf_counter() - began < 1.0
        assert caplog.text == ""
    # Who still waits must not outlive the test's folder and environment.
    for waiting in set(threading.enumerate()) - before:
        waiting.join(10)


COMMANDS = {
    "api": ("-m", "runbooks.genonaut.api"),
    "worker": ("-m", "celery", "-A", "runbooks.genonaut.worker.queue_app:celery_app", "worker", "--pool=solo"),
}


@pytest.mark.parametrize("who", COMMANDS)
def test_a_strict_start_with_problems_is_refused_with_one_sentence_each(root: Path, who: str) -> None:
    (root / "pictures").rmdir()
    (root / "env" / ".env.local-demo").write_text(f"COMFYUI_URL={NEW}\n")
    known = ("REDIS_URL", "CELERY_BROKER_URL", "DATABASE_URL", "COMFYUI_OUTPUT_DIR", "API_PORT")
    environ = {name: value for name, value in os.environ.items() if name not in known}
    environ |= {"COMFYUI_URL": OLD, "STRICT_CONFIG": "1", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(
        [sys.executable, *COMMANDS[who]], cwd=root, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 2, run.stderr
    lines = run.stderr.strip().splitlines()[-5:]
    assert [line.split()[0].split("=")[0] for line in lines if line] == [
        "COMFYUI_URL",
        "COMFYUI_OUTPUT_DIR",
        "COMFYUI_URL",
        "Not",
    ], run.stderr
    assert "Traceback" not in run.stderr
    assert not (root / "jobs.db").exists() or who == "worker"


@pytest.mark.parametrize("value", ["", "0"])
def test_a_start_is_not_strict_unless_it_is_asked_for(
    root: Path, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STRICT_CONFIG", value)
    (root / "pictures").rmdir()
    check_at_start(settings(root))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("Configuration: COMFYUI_OUTPUT_DIR=")
    assert record.getMessage().endswith(f"See {startcheck.SWITCH}")


@pytest.mark.parametrize("page", [PAGE, startcheck.LAYERS.partition("#")[0], startcheck.MOCK_UP, startcheck.SWITCH])
def test_every_page_that_a_warning_names_is_there(page: str) -> None:
    assert (Path(__file__).parents[2] / "docs" / page).is_file()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab.start(tmp_path_factory.mktemp("lab") / "root", free_ports=True) as lab:
        yield lab


def line_about_the_worker(lab: Lab) -> tuple[str, float]:
    """What an API that is started now logs about the worker, and how many seconds that took from its start."""
    log = lab.root / "logs" / "second-api.log"
    began = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "runbooks.genonaut.api"],
            cwd=lab.root,
            # The lab's own broker, not the one that this environment may name: another lab can have that.
            env={**os.environ, **lab.environment(), "API_PORT": "0", MARKER: str(lab.root)},
            stderr=output,
            stdout=subprocess.DEVNULL,
        )

    def line() -> str:
        # What is looked at beside each other is told in the order of the answers.
        told = (line for line in log.read_text().splitlines() if "COMFYUI_URL" in line and "worker main" in line)
        return next(told, "")

    try:
        told = wait_until(line, 20, "the API's log says nothing of the worker")
        return told, time.monotonic() - began
    finally:
        process.terminate()
        process.wait()


@pytest.mark.e2e
def test_a_normal_start_is_silent_and_the_incident_is_told_in_the_log_of_the_api(lab: Lab) -> None:
    mock = lab.root / "logs" / "kernie-gen.log"
    # By the lab, by the API, by the worker.
    wait_until(lambda: mock.read_text().count('"GET / ') >= 3, 20, "nobody has looked at ComfyUI")
    wait_until(
        lambda: all(
            "Configuration:" not in (lab.root / "logs" / f"{name}.log").read_text() for name in ("api", "worker")
        ),
        1,
        "a normal start is not silent",
    )
    file = lab.root / "env" / ".env.local-demo"
    before = file.read_text()
    file.write_text(before.replace("COMFYUI_URL=", "COMFYUI_URL=http://localhost:1 # "))
    try:
        # It takes 0.6 s, most of it Python's own start; a machine that is busy with other tests gets two more tries.
        for _ in range(3):
            told, seconds = line_about_the_worker(lab)
            if seconds < 2:
                break
    finally:
        file.write_text(before)

    assert seconds < 2
    worker, url = lab.state.service("worker").pid, lab.environment()["MOCK_URL"]
    for word in (f"worker main {worker} with", "pool child", url, "http://localhost:1", "env/.env.local-demo:2"):
        assert word in told
    assert told.strip().endswith(PAGE)


@pytest.mark.e2e
def test_a_strict_worker_is_restarted_and_handed_over_though_the_one_that_it_replaces_is_stale(lab: Lab) -> None:
    file = lab.root / "env" / ".env.local-demo"
    before = file.read_text()

    def restart(timeout: int, *, handover: bool = False) -> Restarted:
        file.write_text(f"{before}STRICT_CONFIG=1\nCOMFYUI_TIMEOUT={timeout}\n")
        wait_until(lambda: any("COMFYUI_TIMEOUT" in told for told in said(seen_by(lab))), 10, "the worker to be stale")
        return restart_worker("local-demo", lab.root, app=WORKER_APP, handover=handover, timeout=30)

    assert restart(31).proven
    handed = restart(32, handover=True)
    assert handed.proven
    strict = psutil.Process(handed.new_pids[0]).environ()
    assert (strict["STRICT_CONFIG"], strict["COMFYUI_TIMEOUT"]) == ("1", "32")
    log = (lab.root / "logs" / "worker-handover.log").read_text()
    assert "Configuration:" not in log, "the interim worker does not complain of the one that it replaces"


def seen_by(lab: Lab) -> list[Problem]:
    """What a process that is started in the lab now would be told of the others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(lab.root)
        patch.setenv("ENV_TARGET", "local-demo")
        return list(others(lab.environment()["REDIS_URL"]))
