"""The command `kernie-gen` as a person uses it."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runbooks.kernie.cli import app
from runbooks.kernie.routes.root import version
from tests.kernie.workflows import saving
from tests.support.waiting import wait_until

COMMAND = [sys.executable, "-m", "runbooks.kernie.cli"]


class Running:
    """The command in a process of its own, with what it has written so far."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen([*COMMAND, *arguments], stdout=out, stderr=subprocess.STDOUT)

    def wait_for(self, pattern: str) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log.read_text()
            return re.search(pattern, self.log.read_text())

        match = wait_until(found, 20, f"{pattern} in the log")
        assert match is not None
        return match

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url = self.wait_for(r"listens on (http://\S+)\n")[1]
        with urllib.request.urlopen(urllib.request.Request(url + path, data), timeout=10) as answer:
            return json.load(answer)


@contextlib.contextmanager
def started(folder: Path, *arguments: str) -> Iterator[Running]:
    running = Running(folder / "log", "--port", "0", "--base-dir", str(folder / "base"), *arguments)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def refused(*arguments: str) -> str:
    """What the command says when it cannot start."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return done.stderr


def test_it_says_where_it_is_serves_logs_as_uvicorn_and_stops_at_once(tmp_path: Path) -> None:
    with started(tmp_path, "--delay", "0", "--output-dir", str(tmp_path / "out")) as running:
        running.wait_for("Ctrl-C")
        assert f"Output folder: {tmp_path / 'out'}\n" in running.log.read_text()
        prompt_id = running.ask("/prompt", {"prompt": saving()})["prompt_id"]
        wait_until(lambda: running.ask(f"/history/{prompt_id}"), 10, "the prompt to end")
        running.wait_for(r'(?m)^INFO:     127\.0\.0\.1:\d+ - "POST /prompt HTTP/1\.1" 200 OK$')
        running.ask("/history?max_items=1")
        running.wait_for(r'(?m)^INFO:     127\.0\.0\.1:\d+ - "GET /history\?max_items=1 HTTP/1\.1" 200 OK$')
        assert (tmp_path / "out" / "plain_00001_.png").is_file()
        stopping = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0
        assert time.monotonic() - stopping < 5


def test_ctrl_c_stops_it_in_the_middle_of_a_run(tmp_path: Path) -> None:
    with started(tmp_path, "--delay", "60") as running:
        running.ask("/prompt", {"prompt": saving()})
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 0
        assert "Traceback" not in running.log.read_text()


def test_a_malformed_request_is_one_line_in_the_log(tmp_path: Path) -> None:
    with started(tmp_path) as running:
        url = running.wait_for(r"listens on http://127\.0\.0\.1:(\d+)\n")
        with socket.create_connection(("127.0.0.1", int(url[1]))) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            assert b"400" in connection.recv(1000)
        assert running.ask("/queue") == {"queue_running": [], "queue_pending": []}
        assert "Traceback" not in running.log.read_text()


def test_a_taken_port_is_named_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--port", str(port))
    assert f"Port {port} is taken by pid " in said
    assert "--port" in said


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--models", "checkpoints"], "FOLDER=NAME"),
        (["--fault", "nonsense"], "refuse, hang"),
        (["--fault", "slow:seconds=x"], "seconds"),
        (["--fault", "slow:seconds=nan"], "seconds"),
        (["--fault", "oom:node"], "KIND:times=2"),
        (["--nodes", "no.such.module"], "no.such.module"),
        (["--nodes", "missing.py"], "missing.py"),
        (["--nodes", "json"], "NODES"),
        (["--host", "203.0.113.1"], "203.0.113.1"),
        (["--port", "70000"], "65535"),
    ],
)
def test_a_mistake_is_explained_and_ends_with_2(arguments: list[str], word: str, tmp_path: Path) -> None:
    assert word in refused("--port", "0", "--base-dir", str(tmp_path), *arguments)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert str(tmp_path / "file") in refused("--port", "0", "--output-dir", str(tmp_path / "file" / "out"))


def test_own_nodes_that_do_not_load_are_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("1 / 0")
    assert "ZeroDivisionError" in refused(
        "--port", "0", "--base-dir", str(tmp_path), "--nodes", str(tmp_path / "mine.py")
    )


def test_a_folder_of_models_that_is_nearly_a_known_one_is_warned_about(tmp_path: Path) -> None:
    with started(
        tmp_path, "--models", "checkpoint=a.safetensors", "--models", "unet=b", "--models", "mine=c"
    ) as running:
        running.wait_for("Ctrl-C")
        said = running.log.read_text()
    assert said.count("Careful") == 1
    assert "--models checkpoint= is a folder of its own. Did you mean checkpoints?" in said


def test_help_teaches_by_example() -> None:
    assert "kernie-gen --port 8189 --output-dir ./output" in CliRunner().invoke(app, ["--help"]).output


def test_the_mock_loads_no_heavy_neighbours() -> None:
    heavy = ("celery", "sqlalchemy", "fastapi", "mkdocs", "numpy")
    code = f"import sys, runbooks.kernie.server, runbooks.kernie.cli; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True).stdout
    assert said.strip() == "[]"


def test_the_mock_imports_nothing_else_of_this_project() -> None:
    room = Path(__file__).parents[2] / "runbooks" / "kernie"
    imported = {
        name for path in room.rglob("*.py") for name in re.findall(r"(?m)^\s*from (runbooks\S*)", path.read_text())
    }
    assert {name for name in imported if not name.startswith("runbooks.kernie")} == set()


def test_the_version_is_the_package_s() -> None:
    assert re.match(r"\d", version())
