"""The troubles that a lab can be started with, as a page or somebody who practises gets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runbooks.cli import app
from runbooks.lab.states import STATES
from runbooks.pages import parse_page

ROOT = Path(__file__).parents[2]


def test_every_state_is_that_of_a_page_or_the_usual_one() -> None:
    pages = (ROOT / "docs").rglob("*.md")
    asked = {parse_page(path).meta.get("stack") for path in pages} - {None}
    assert asked <= set(STATES)
    assert set(STATES) - asked <= {"healthy"}


def test_a_state_that_there_is_not_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["up", "--state", "haunted", "--root", str(tmp_path / "lab")])
    assert refused.exit_code == 2
    assert "A lab has no state 'haunted'" in refused.stderr
    assert "broker-down" in refused.stderr
    assert not (tmp_path / "lab").exists()


@pytest.mark.e2e
def test_a_lab_can_be_started_with_a_trouble_whatever_broker_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    root = str(tmp_path.resolve() / "lab")
    words = ["--free-ports", "--detach", "--state", "broker-down", "--root", root]
    started = CliRunner().invoke(app, ["up", *words])
    try:
        assert started.exit_code == 0, started.output
        assert "The broker is down." in started.stdout
        status = json.loads(CliRunner().invoke(app, ["status", "--json", "--root", root]).stdout)
        assert {service["name"]: service["answers"] for service in status["services"]}["broker"] is False
    finally:
        CliRunner().invoke(app, ["down", "--kill", "--root", root])
