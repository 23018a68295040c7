"""``runbooks doctor``: what it prints and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runbooks.cli import app
from runbooks.drift.findings import CATALOGUE
from tests.doctor.conftest import here, no_broker
from tests.support.planted import NAMES
from tests.workers.installation import ARGV, NEW, STANDIN, Installation

__all__ = ["here", "no_broker"]


def doctor(here: Installation, *more: str) -> Result:
    return CliRunner().invoke(app, ["doctor", "--root", str(here.root), *more])


def test_secrets_are_never_shown_whatever_they_are_called(here: Installation) -> None:
    old = {name: f"hunter2-old-{number}" for number, name in enumerate(NAMES)}
    worker = {**old, "REDIS_URL": "redis://:hunter2-broker-old@127.0.0.1:1/0"}
    worker["COMFYUI_URL"] = "http://me:hunter2-url-old@localhost:8000/?token=hunter2-token-old"
    here.standin("local-demo", ARGV, STANDIN, **worker)
    lines = [f"{name}='hunter2-new-{number}'" for number, name in enumerate(NAMES)]
    quoted = """QUOTED="'hunter2-quoted'"\nTILDE=~/pictures\n"""
    login = "DATABASE_URL=postgresql://me:hunter2-db@localhost/x\n"
    here.write(
        "env/.env.shared", "\n".join([*lines, quoted, login, "REDIS_URL=redis://:hunter2-broker@127.0.0.1:1/0\n"])
    )
    here.write("env/.env.local-demo", "COMFYUI_URL=http://me:hunter2-url@localhost:8189/?token=hunter2-token\n")
    here.write(".env", "COMFYUI_URL=http://hunter2-root@localhost:1\n")
    for shown in (doctor(here), doctor(here, "--json")):
        assert shown.exit_code == 1
        assert "hunter2" not in shown.output
    said = json.loads(shown.stdout)
    named = {key for finding in said["findings"] if finding["id"].startswith("worker-") for key in finding["keys"]}
    assert set(NAMES) <= named


def test_a_broken_line_is_not_quoted(here: Installation) -> None:
    here.write("env/.env", "DB_PASSWORD hunter2\n")
    for more in ((), ("--json",)):
        shown = doctor(here, *more)
        assert "env/.env:1" in shown.stdout
        assert "hunter2" not in shown.output


def test_json_is_one_object_whose_fields_stay(here: Installation) -> None:
    worker = here.standin()
    said = json.loads(doctor(here, "--json").stdout)
    assert set(said) == {
        *("ok", "verdict", "root", "env_target", "seconds", "findings", "processes", "broker", "comfyui", "error")
    }
    assert (said["ok"], said["verdict"], said["error"]) == (False, "findings", None)
    assert set(said["findings"][0]) == {
        *("id", "severity", "what", "where", "since", "certainty", "evidence", "why", "cure", "page", "pid", "keys")
    }
    assert {finding["id"] for finding in said["findings"]} <= CATALOGUE.keys()
    assert [process["pid"] for process in said["processes"]] == [worker.pid]
    assert set(said["processes"][0]["keys"][0]) == {
        *("variable", "holds", "says", "origin", "held_from", "source", "agreement", "certainty", "why", "since")
    }


def test_the_verdict_comes_first_the_worst_in_full_and_the_rest_in_a_line_each(here: Installation) -> None:
    here.standin()
    here.write("env/.env.local-demo", f"COMFYUI_URL={NEW}\n")
    here.write(".env", "COMFYUI_URL=x\n")
    lines = doctor(here).stdout.splitlines()
    assert lines[0].startswith("✗ ")
    assert sum(line.startswith("  Do     ") for line in lines) == 2
    assert "! .env at the root sets COMFYUI_URL, and nobody reads it.  [file-ignored]" in lines
    assert len(lines) <= 30


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (("--env-target", "nowhere"), "ENV_TARGET is 'nowhere'"),
        (("--root", "/nonexistent"), "There is no /nonexistent"),
    ],
)
def test_a_question_that_cannot_be_answered_is_one_sentence_and_exit_code_2(
    more: tuple[str, ...], what: str, here: Installation
) -> None:
    shown = doctor(here, *more, "--json")
    assert shown.exit_code == 2
    assert json.loads(shown.stdout)["error"]["what"].startswith(what)


def test_what_cannot_be_told_ends_with_2(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    from runbooks import doctor as room
    from runbooks.doctor import Diagnosis
    from runbooks.drift.findings import WORKER_UNREADABLE, Finding

    unknown = Diagnosis(here.root, "local-demo", (Finding(WORKER_UNREADABLE, "what", "where", "cure"),))
    monkeypatch.setattr(room, "examine", lambda *_, **__: unknown)
    shown = doctor(here)
    assert shown.exit_code == 2
    assert shown.stdout.startswith("? It could not be told. What a worker runs with may not be read.")


def test_it_needs_neither_celery_nor_a_redis_library(here: Installation) -> None:
    here.standin()
    code = (
        "import sys\nfor name in ('celery', 'kombu', 'redis', 'fastapi', 'sqlalchemy'): sys.modules[name] = None\n"
        "from runbooks.cli import main\nmain()"
    )
    command = [sys.executable, "-c", code, "doctor", "--root", str(here.root), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    assert done.returncode == 1, done.stderr
    assert "broker-down" in done.stdout
    assert done.stderr == ""
