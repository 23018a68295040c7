from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from runbooks.pages import wires
from tests.support.waiting import wait_until

PAGE = "# Page\n\n```bash\necho $$ >pid.new; mv pid.new pid; until test -e go; do sleep 0.02; done\n```\n"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere wires have names")


def test_wires_have_no_names_where_children_can_open_what_this_process_has_open() -> None:
    assert isinstance(wires.new_wires(), wires.Unnamed)


def test_wires_are_in_a_folder_where_this_process_belongs_to_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    named = wires.new_wires()
    assert Path(named.script).is_fifo()
    named.end_script()
    named.close()
    assert not Path(named.folder).exists()


def test_a_killed_run_leaves_no_file_and_its_shell_ends_with_its_step(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE, "utf-8")
    (temporary := tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "-c", os.devnull]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(temporary)}
    run = subprocess.Popen(
        [*command, "-p", "runbooks.pages.pytest_plugin", "--markdown-docs", "page.md"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: (tmp_path / "pid").exists(), 30, "the step has not begun")
    shell = psutil.Process(int((tmp_path / "pid").read_text()))
    run.kill()
    run.wait()
    (tmp_path / "go").touch()
    wait_until(lambda: not shell.is_running() or shell.status() == psutil.STATUS_ZOMBIE, 10, "the shell stays")
    assert list(temporary.iterdir()) == []
