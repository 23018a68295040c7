from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from runbooks.errors import UserError
from runbooks.genonaut.store import DEMO_USER_ID
from runbooks.lab.layout import USER_ID, Layout, fill_folder, make_folder, require_own_folder
from runbooks.lab.ports import Ports
from runbooks.settings import load_settings
from runbooks.target import DEMO_USER, Target

PORTS = Ports(broker=12001, api=12002, mock=12003, real=12004, site=12005)


def layout(root: Path) -> Layout:
    return Layout(root, "local-demo", PORTS, "redis://127.0.0.1:12001/0", f"sqlite:///{root}/run/genonaut.db")


@pytest.fixture
def lab(tmp_path: Path) -> Layout:
    made = layout(tmp_path / "lab")
    make_folder(made.root)
    fill_folder(made, mock=True)
    return made


@pytest.mark.parametrize("name", ["lab", "my lab", "it's", 'a "lab"', "per%cent #1"])
def test_the_files_of_a_lab_send_jobs_to_the_mock_in_any_folder(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    make_folder(root)
    fill_folder(layout(root), mock=True)
    loaded = load_settings(root, "local-demo", {})
    assert loaded.settings.comfyui_url == "http://localhost:12003"
    assert loaded.settings.comfyui_output_dir == str(root / "output" / "kernie-gen")
    assert loaded.settings.api_port == 12002
    assert loaded.settings.redis_url == "redis://127.0.0.1:12001/0"
    assert str(loaded.origin("comfyui-url")) == "env/.env.local-demo:2"


def test_before_the_edit_of_the_incident_they_send_jobs_to_the_real_comfyui(lab: Layout) -> None:
    fill_folder(lab, mock=False)
    settings = load_settings(lab.root, "local-demo", {}).settings
    assert settings.comfyui_url == "http://localhost:12004"
    assert settings.comfyui_output_dir == str(lab.real_output_dir)


@pytest.mark.parametrize("name", ["my lab", "it's #1", 'a "$5" lab'])
def test_make_starts_the_worker_as_the_real_makefile_does(name: str, tmp_path: Path) -> None:
    made = layout(tmp_path / name)
    make_folder(made.root)
    fill_folder(made, mock=True)
    # A stand-in for celery tells what it was started with. It is first on the PATH that the Makefile puts together.
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "celery").write_text(
        '#!/bin/sh\nprintf "%s\\n" "$ENV_TARGET" "$COMFYUI_URL" "$COMFYUI_OUTPUT_DIR" "$GENONAUT_LAB" "$*"\n'
    )
    (scripts / "celery").chmod(0o755)
    makefile = made.root / "Makefile"
    makefile.write_text(makefile.read_text().replace("export PATH := ", f"export PATH := {scripts}:"))
    run = subprocess.run(
        ["make", "celery-demo"],
        cwd=made.root,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert run.stdout.splitlines() == [
        "local-demo",
        "http://localhost:12003",
        str(made.mock_output_dir),
        str(made.root),
        "-A runbooks.genonaut.worker.queue_app:celery_app worker --loglevel=info --queues=default,generation",
    ]


def test_the_environment_file_points_a_shell_at_the_lab(lab: Layout) -> None:
    script = '. ./run/environment; printf "%s\\n" "$API_URL" "$GENONAUT_ROOT" "$MOCK_OUTPUT_DIR"'
    shell = subprocess.run(["/bin/sh", "-c", script], cwd=lab.root, capture_output=True, text=True, check=True)
    assert shell.stdout.splitlines() == [lab.api_url, str(lab.root), str(lab.mock_output_dir)]
    assert (lab.root / "run" / "environment").stat().st_mode & 0o077 == 0, "it may hold a password"


def test_a_page_finds_the_lab_by_its_variables(lab: Layout) -> None:
    target = Target.from_environment(lab.variables())
    assert target == Target(
        api_url="http://127.0.0.1:12002",
        mock_url="http://localhost:12003",
        real_url="http://localhost:12004",
        root=lab.root,
        env_target="local-demo",
        mock_output_dir=lab.mock_output_dir,
        real_output_dir=lab.real_output_dir,
        mock_log=lab.log("mock"),
        worker_log=lab.log("worker"),
        user_id=USER_ID,
    )
    assert USER_ID == DEMO_USER == str(DEMO_USER_ID)


def test_exported_values_of_the_shell_do_not_reach_the_lab_s_processes(lab: Layout) -> None:
    shell = {
        "COMFYUI_URL": "http://elsewhere",
        "REDIS_URL": "redis://elsewhere",
        "CELERY_BROKER_URL": "redis://elsewhere",
        "ENV_TARGET": "production",
        "MAKEFLAGS": "n",
        "PATH": "/usr/bin",
        "no_proxy": "intranet",
        "LANG": "C.UTF-8",
    }
    environ = lab.process_environment(shell)
    assert {"COMFYUI_URL", "REDIS_URL", "CELERY_BROKER_URL", "MAKEFLAGS"} & set(environ) == set()
    assert environ["ENV_TARGET"] == "local-demo"
    assert environ["GENONAUT_LAB"] == str(lab.root)
    assert environ["no_proxy"] == "intranet,localhost,127.0.0.1"
    assert environ["PATH"].endswith("/usr/bin")
    assert environ["LANG"] == "C.UTF-8"


def test_what_was_edited_is_put_back_and_the_edited_file_kept(lab: Layout) -> None:
    edited = "COMFYUI_URL=http://mine\n"
    lab.target_file.write_text(edited)
    assert fill_folder(lab, mock=True) == ["env/.env.local-demo"]
    assert lab.target_file.read_text() == lab.target_env(mock=True)
    assert (lab.root / "run" / "replaced" / "env" / ".env.local-demo").read_text() == edited


def test_what_the_lab_wrote_itself_does_not_count_as_edited(lab: Layout) -> None:
    other = Layout(
        lab.root, "local-demo", Ports(broker=13001, api=13002), "redis://127.0.0.1:13001/0", "sqlite:///x.db"
    )
    assert fill_folder(other, mock=False) == []
    assert json.loads((lab.root / "config" / "local-demo.json").read_text()) == {"api-port": 13002}


def test_the_logs_of_the_last_run_are_moved_aside(lab: Layout) -> None:
    lab.log("mock").write_text('"POST /prompt HTTP/1.1" 200')
    fill_folder(lab, mock=True)
    assert not lab.log("mock").exists()
    assert "POST /prompt" in (lab.root / "logs" / "kernie-gen.log.1").read_text()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="holds files that are not a lab's, so nothing was written there"):
        make_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("")
    with pytest.raises(UserError, match="is a file, the lab needs a folder"):
        require_own_folder(tmp_path / "lab")


def test_an_empty_folder_and_a_lab_may_be_used(lab: Layout, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    require_own_folder(tmp_path / "empty")
    require_own_folder(tmp_path / "new")
    require_own_folder(lab.root)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"The lab's folder cannot be written: .*: not a directory"):
        make_folder(tmp_path / "file" / "lab")
