"""``runbooks restart-worker``: what it prints, what it asks, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from runbooks.cli import app
from runbooks.drift import is_alive
from tests.support.planted import NAMES
from tests.support.waiting import wait_until
from tests.workers.installation import ARGV, NEW, OLD, STANDIN, Installation

COMMAND = [sys.executable, "-c", "from runbooks.cli import main; main()", "restart-worker", "--no-verify-job"]


def run(here: Installation, *arguments: str, verify: str = "--no-verify-job") -> Result:
    words = ["restart-worker", "--env-target", "local-demo", "--root", str(here.root), verify, *arguments]
    return CliRunner().invoke(app, words)


def in_lines(value: str) -> str:
    return "".join(f"{name}={value}\n" for name in NAMES)


@pytest.fixture
def edited(no_broker: Installation) -> Installation:
    """An installation whose URL was edited after the worker had been started; secrets among the files."""
    no_broker.write("env/.env.shared", "REDIS_URL=redis://:hunter2@127.0.0.1:1/0\n" + in_lines("hunter3"))
    old = dict.fromkeys(NAMES, "hunter4")
    no_broker.standin("local-demo", ARGV, STANDIN, **old, REDIS_URL="redis://:hunter5@127.0.0.1:1/0")
    no_broker.write("env/.env.local-demo", f"COMFYUI_URL={NEW}\n")
    return no_broker


def test_a_dry_run_shows_the_plan_and_touches_nothing(edited: Installation) -> None:
    (worker,) = edited.mains()
    shown = run(edited, "--dry-run")
    assert shown.exit_code == 0, shown.output
    text = shown.stdout
    assert f"  pid {worker.pid}, since " in text
    assert "runs now: unknown" in text
    stale = f"holds: COMFYUI_URL={OLD}, and env/.env.local-demo:1 says {NEW}: stale, certain"
    assert stale in text
    assert f"1. SIGTERM to pid {worker.pid}, once" in text
    assert f"COMFYUI_URL={NEW} (env/.env.local-demo:1) instead of {OLD} (old environment)" in text
    assert "nothing was touched" in text
    assert edited.signals() == []
    assert is_alive(worker.handle)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_secrets_are_never_shown(edited: Installation, more: tuple[str, ...]) -> None:
    shown = run(edited, "--dry-run", *more)
    assert "hunter" not in shown.output
    assert "redis://:****@127.0.0.1:1/0" in shown.output


def test_json_is_one_object_with_plan_and_result(edited: Installation) -> None:
    (worker,) = edited.mains()
    shown = run(edited, "--yes", "--json")
    assert shown.exit_code == 0, shown.output
    said = json.loads(shown.stdout)
    assert said["ok"] is True
    assert said["error"] is None
    assert said["plan"]["stop"][0]["pid"] == worker.pid
    assert said["result"]["old_pids"] == [worker.pid]
    assert said["result"]["proven"] is True
    assert f"pid {said['result']['new_pids'][0]} has been started" in shown.stderr


def test_words_say_what_was_done_and_proven(edited: Installation) -> None:
    shown = run(edited, "--yes")
    assert shown.exit_code == 0, shown.output
    assert "Restarted: pid " in shown.stdout
    assert f"ok     log: its own log says ComfyUI URL: {NEW}" in shown.stdout


def test_without_a_terminal_nothing_is_done_unless_yes_is_said(edited: Installation) -> None:
    shown = run(edited)
    assert shown.exit_code == 2
    assert "There is no terminal to ask on." in shown.stderr
    assert "--yes" in shown.stderr
    assert edited.signals() == []


@pytest.mark.parametrize(("answer", "code", "signals"), [(b"n\n", 1, 0), (b"\n", 1, 0), (b"y\n", 0, 1)])
def test_on_a_terminal_it_asks(edited: Installation, answer: bytes, code: int, signals: int) -> None:
    ours, theirs = os.openpty()
    os.write(ours, answer)
    done = subprocess.run(
        [*COMMAND, "--root", str(edited.root)], stdin=theirs, capture_output=True, text=True, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert "Go ahead? [y/N]" in done.stderr
    assert done.returncode == code, done.stderr
    assert len(edited.signals()) == signals


def test_ctrl_c_ends_with_130_and_says_what_the_state_is(no_broker: Installation) -> None:
    worker = no_broker.standin(STANDIN_ON_TERM="stay")
    with subprocess.Popen(
        [*COMMAND, "--root", str(no_broker.root), "--yes"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    ) as command:
        wait_until(no_broker.signals, 20, "the worker to be told")
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=10)
    assert command.returncode == 130
    assert f"Worker pid {worker.pid} has been told to stop" in said
    assert "Traceback" not in said
    assert no_broker.signals() == [f"{worker.pid} SIGTERM"]


def test_an_orphan_beside_a_worker_is_in_the_way_also_of_a_dry_run(no_broker: Installation) -> None:
    pids = [no_broker.standin().pid, no_broker.standin().pid]
    shown = run(no_broker, "--dry-run")
    assert shown.exit_code == 1
    assert "In the way: 2 workers of local-demo run" in shown.stdout
    assert all(f"pid {pid}, since" in shown.stdout for pid in pids)
    assert run(no_broker, "--yes").exit_code == 1
    assert no_broker.signals() == []


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "what"),
    [
        ((), 1, "no-worker", "No worker of local-demo runs"),
        (("--env-target", "local-demmo"), 2, "error", "there is no"),
        (("--pid", "1", "--all"), 2, "error", "contradict"),
        (("--handover", "--all"), 2, "error", "contradict"),
        (("--handover",), 1, "no-worker", "No worker of local-demo runs"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_an_exit_code(
    no_broker: Installation, arguments: tuple[str, ...], code: int, kind: str, what: str
) -> None:
    shown = run(no_broker, "--json", *arguments)
    assert shown.exit_code == code
    error = json.loads(shown.stdout)["error"]
    assert error["kind"] == kind
    assert what in error["what"]
    assert error["do"]


@pytest.mark.parametrize("more", ["--dry-run", "--yes"])
def test_a_worker_that_cannot_be_asked_is_not_handed_over(no_broker: Installation, more: str) -> None:
    no_broker.standin()
    shown = run(no_broker, "--handover", more, "--json")
    said = json.loads(shown.stdout)
    (it,) = said["plan"]["in_the_way"] if more == "--dry-run" else (said["error"],)
    assert (shown.exit_code, it["kind"]) == (1 if more == "--dry-run" else 2, "cannot-hand-over")
    assert "cannot be asked over its broker" in it["what"]
    assert "Leave out --handover" in it["do"]
    assert no_broker.signals() == []


def test_a_handover_without_celery_is_refused(no_broker: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    no_broker.standin()
    monkeypatch.setitem(sys.modules, "celery", None)
    shown = run(no_broker, "--handover", "--yes")
    assert shown.exit_code == 2
    assert "Celery is not installed here." in shown.stderr
    assert no_broker.signals() == []


class Api(BaseHTTPRequestHandler):
    """Answers as the API does for a job that ends as ``ends`` says."""

    ends: dict[str, Any]

    def do_GET(self) -> None:
        self.answer({"status": "healthy", "database": "ok"} if self.path.endswith("health") else {"id": 7, **self.ends})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"id": 7, "status": "pending"})

    def answer(self, data: dict[str, Any]) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


@pytest.fixture
def api(no_broker: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Api]]:
    """An API on the port that the installation's files give."""
    monkeypatch.delenv("API_URL", raising=False)
    handler = type("ThisApi", (Api,), {"ends": {"status": "completed"}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        no_broker.write("env/.env.shared", f"REDIS_URL={no_broker.redis_url}\nAPI_PORT={server.server_port}\n")
        yield handler
        server.shutdown()
        thread.join()


def test_a_new_job_proves_it_where_the_api_answers(no_broker: Installation, api: type[Api]) -> None:
    no_broker.standin()
    shown = run(no_broker, "--yes", verify="--verify-job")
    assert shown.exit_code == 0, shown.output
    assert "4. Create one new job through the API" in shown.stdout
    assert "ok     new job: job 7 is completed" in shown.stdout


def test_a_job_that_fails_after_the_restart_is_exit_code_1(no_broker: Installation, api: type[Api]) -> None:
    api.ends = {"status": "failed", "error_message": "Unable to determine primary image path for job 7"}
    no_broker.standin()
    shown = run(no_broker, "--yes", verify="--verify-job")
    assert shown.exit_code == 1
    assert "FAILED new job: job 7 is failed: Unable to determine primary image path for job 7" in shown.stdout


def test_a_job_can_be_demanded_only_where_the_api_answers(no_broker: Installation) -> None:
    no_broker.write("env/.env.shared", f"REDIS_URL={no_broker.redis_url}\nAPI_PORT=1\n")
    no_broker.standin()
    shown = run(no_broker, "--yes", verify="--verify-job")
    assert shown.exit_code == 2
    assert "http://127.0.0.1:1 does not answer" in shown.stderr
    assert no_broker.signals() == []
