"""The command line itself: what it says, how quickly, and how it ends."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import runbooks.cli
from runbooks import __version__
from runbooks.cli import app
from runbooks.cli.output import Stopped
from runbooks.errors import UserError
from runbooks.lab.layout import Layout, fill_folder, make_folder
from runbooks.lab.ports import Ports

COMMANDS = ["up", "status", "down", "drill", "doctor", "restart-worker", "mock"]


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The folder of a lab that does not run."""
    root = tmp_path.resolve() / "lab"
    make_folder(root)
    fill_folder(Layout(root, "local-demo", Ports(broker=1), "redis://127.0.0.1:1/0", "sqlite:///x.db"), mock=True)
    return root


def test_help_names_every_command_and_where_to_begin() -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert [name for name in COMMANDS if f" {name} " not in out] == []
    assert "runbooks up --incident" in out


def test_without_a_command_it_shows_its_help() -> None:
    _, out, err = run()
    assert "Usage:" in out + err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert "--help" in out


def test_help_loads_nothing_that_takes_long() -> None:
    heavy = "{'celery', 'sqlalchemy', 'fastapi', 'httpx', 'pydantic', 'redis', 'aiohttp', 'PIL', 'psutil'}"
    code = (
        "import sys\nfrom runbooks.cli import main\nsys.argv = ['runbooks', '--help']\n"
        f"try:\n    main()\nfinally:\n    sys.stderr.write(repr(sorted({heavy} & set(sys.modules))))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stderr == "[]"


def test_a_command_that_is_loaded_late_is_listed_with_its_own_words() -> None:
    from runbooks.cli.restart_worker import restart_worker
    from runbooks.kernie.cli import HELP

    def first(text: str | None) -> str:
        return " ".join((text or "").split("\n\n")[0].split())

    assert first(inspect.getdoc(runbooks.cli.restart_worker_listed)) == first(restart_worker.__doc__)
    assert first(inspect.getdoc(runbooks.cli.mock_listed)) == first(HELP)


def test_it_tells_its_version() -> None:
    assert run("--version") == (0, f"runbooks {__version__}\n", "")


def test_a_command_that_does_not_exist_ends_with_2_and_a_guess() -> None:
    code, _, err = run("stauts")
    assert code == 2
    assert "status" in err


def test_a_user_s_mistake_is_two_lines_and_no_traceback(tmp_path: Path) -> None:
    code, out, err = run("status", "--root", str(tmp_path))
    assert (code, out) == (2, "")
    assert err == (
        f"There is no lab in {tmp_path.resolve()}.\nStart one there with: runbooks up, or name its folder: --root\n"
    )


@pytest.mark.parametrize("command", ["status", "down"])
def test_with_json_a_mistake_is_an_object_too(command: str, tmp_path: Path) -> None:
    code, out, err = run(command, "--json", "--root", str(tmp_path))
    assert code == 2
    error = json.loads(out)["error"]
    assert err == f"{error['what']}\n{error['do']}\n"


def test_status_of_a_lab_that_does_not_run_ends_with_1(lab: Path) -> None:
    assert run("status", "--root", str(lab)) == (
        1,
        f"The lab in {lab} is not running. Start it with: runbooks up --root {lab}\n",
        "",
    )
    code, out, _ = run("status", "--json", "--root", str(lab))
    assert code == 1
    assert json.loads(out) == {"ok": False, "root": str(lab), "running": False, "services": []}


def test_down_of_a_lab_that_does_not_run_is_fine(lab: Path) -> None:
    assert run("down", "--root", str(lab)) == (0, f"Nothing of the lab in {lab} was running.\n", "")
    assert json.loads(run("down", "--json", "--root", str(lab))[1]) == {"ok": True, "root": str(lab), "stopped": 0}


@pytest.mark.parametrize("command", ["status", "down"])
def test_a_state_file_that_was_damaged_does_not_end_in_a_traceback(command: str, lab: Path) -> None:
    (lab / "run" / "state.json").write_text('{"root": ')
    code, _, err = run(command, "--root", str(lab))
    assert code == (2 if command == "status" else 0), err
    assert (lab / "run" / "state.json").exists() == (command == "status")


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (Stopped(15), 143), (UserError("What.", "Do."), 2)]
)
def test_how_a_command_ends_is_an_exit_code(error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop_folder(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr("runbooks.lab.stop_folder", stop_folder)
    assert run("down")[0] == code


def test_what_an_extra_would_bring_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "runbooks.kernie.server", raising=False)
    for name in [name for name in sys.modules if name.startswith("runbooks.kernie.")]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = run("mock", "--port", "0")
    assert code == 2
    assert "aiohttp" in err
    assert "genonaut-runbooks[mock]" in err


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("config/base.json", b'{"comfyui-url": \n', "config/base.json:2:1 is not JSON"),
        ("env/.env.local-demo", b"COMFYUI_URL http://x\n", "env/.env.local-demo:1 is 'COMFYUI_URL http://x'"),
        ("env/.env.shared", b"X=\xff\xfe\n", "env/.env.shared is not UTF-8 text"),
        ("env/.env", None, "env/.env cannot be read: is a directory"),
    ],
)
def test_a_broken_file_of_the_installation_is_named(file: str, content: bytes | None, what: str, lab: Path) -> None:
    (lab / file).unlink()
    if content is None:
        (lab / file).mkdir()
    else:
        (lab / file).write_bytes(content)
    code, _, err = run("restart-worker", "--root", str(lab), "--env-target", "local-demo", "--yes")
    assert code == 2, err
    assert what in err
    assert "Traceback" not in err


def test_an_unknown_env_target_is_named_with_the_known_ones(lab: Path) -> None:
    code, _, err = run("restart-worker", "--root", str(lab), "--env-target", "nowhere", "--yes")
    assert code == 2
    assert "ENV_TARGET is 'nowhere', but there is no " in err
    assert "Use one of: local-demo." in err
