from __future__ import annotations

from pathlib import Path

import pytest

from runbooks.settings import Layers, read_layers
from runbooks.workers.environment import rebuild_environment


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    for name, text in {
        "config/base.json": '{"comfyui-url": "http://base", "database-url": "sqlite://", "path": "/x", "home": "/y"}',
        "config/local-demo.json": "{}",
        "env/.env.shared": "REDIS_URL=redis://:hunter2@localhost/0\nNOT_IN_JSON=shared\nPATH=bin:$PATH\n",
        "env/.env.local-demo": "COMFYUI_URL=http://localhost:8189\n",
        "env/.env": "LAST=word\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return read_layers(tmp_path, "local-demo", {})


def test_what_an_env_file_says_now_wins_over_the_old_environment(layers: Layers) -> None:
    new = rebuild_environment({"COMFYUI_URL": "http://localhost:8000", "NOT_IN_JSON": "old"}, layers).variables
    assert new["COMFYUI_URL"] == "http://localhost:8189"
    assert new["NOT_IN_JSON"] == "shared"


def test_what_only_json_or_the_last_file_sets_is_left_out(layers: Layers) -> None:
    new = rebuild_environment({"DATABASE_URL": "exported", "LAST": "exported"}, layers).variables
    assert "DATABASE_URL" not in new
    assert "LAST" not in new


def test_what_no_file_sets_survives(layers: Layers) -> None:
    assert rebuild_environment({"API_TOKEN": "x"}, layers).variables["API_TOKEN"] == "x"


def test_the_program_is_still_found_whatever_a_key_is_called(layers: Layers) -> None:
    new = rebuild_environment({"PATH": "/venv/bin:/bin", "HOME": "/home/me"}, layers).variables
    assert (new["PATH"], new["HOME"]) == ("/venv/bin:/bin", "/home/me")


def test_a_variable_can_be_kept_on_purpose(layers: Layers) -> None:
    new = rebuild_environment({"COMFYUI_URL": "mine", "DATABASE_URL": "mine"}, layers, keep=["DATABASE_URL"]).variables
    assert new["DATABASE_URL"] == "mine"
    assert new["COMFYUI_URL"] == "http://localhost:8189"


def test_whom_the_old_process_replaced_is_not_handed_on(layers: Layers) -> None:
    new = rebuild_environment({"RUNBOOKS_REPLACES": "machine-1-2"}, layers)
    assert "RUNBOOKS_REPLACES" not in new.variables
    assert "RUNBOOKS_REPLACES" not in {change.variable for change in new.changes}


def test_the_target_is_always_the_one_meant(layers: Layers) -> None:
    assert rebuild_environment({}, layers).variables["ENV_TARGET"] == "local-demo"


def test_every_change_is_named_with_its_origin(layers: Layers) -> None:
    old = {"COMFYUI_URL": "http://localhost:8000", "DATABASE_URL": "exported", "KEPT": "1"}
    changes = {change.variable: change for change in rebuild_environment(old, layers).changes}
    assert "KEPT" not in changes
    assert changes["COMFYUI_URL"].origin == "env/.env.local-demo:1"
    dropped = changes["DATABASE_URL"]
    assert (dropped.old, dropped.new, dropped.gets, dropped.origin) == (
        "exported",
        None,
        "sqlite://",
        "config/base.json:1",
    )


def test_secrets_do_not_reach_the_json(layers: Layers) -> None:
    changes = rebuild_environment({"REDIS_URL": "redis://:older@localhost/0"}, layers).changes
    text = str([change.as_json() for change in changes])
    assert "hunter2" not in text
    assert "older" not in text
