from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from runbooks.lab.processes import MARKER, scripts_folder
from tests.support.waiting import wait_until

DRILL = [str(scripts_folder() / "runbooks"), "drill", "--json"]


def labs_below(folder: Path) -> list[psutil.Process]:
    """Processes of any lab below a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER, "").startswith(str(folder)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def own_temporary(folder: Path) -> Mapping[str, str]:
    folder.mkdir()
    return {**os.environ, "TMPDIR": str(folder)}


@pytest.mark.e2e
def test_the_drill_sees_everything_that_it_expects_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "tmp"
    drill = subprocess.run(DRILL, env=own_temporary(folder), capture_output=True, text=True, check=False)
    assert drill.returncode == 0, drill.stderr
    data = json.loads(drill.stdout)
    assert data["ok"] is True
    assert data["seconds"] < 60
    assert {result["step"] for result in data["expected"]} == {1, 2, 3, 4, 5, 6, 7}
    assert all(result["ok"] for result in data["expected"])
    seen = {result["expected"]: result["seen"] for result in data["expected"]}
    assert '"POST /prompt HTTP/1.1" 200 OK' in seen["POST /prompt … 200 OK"]
    assert "Failed to connect to ComfyUI at http://localhost:" in " ".join(seen.values())
    assert list(folder.iterdir()) == []
    assert labs_below(folder) == []


@pytest.mark.e2e
def test_the_drill_ends_with_1_when_the_restart_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "tmp"
    environ = own_temporary(folder)
    drill = subprocess.run([*DRILL, "--skip-restart"], env=environ, capture_output=True, text=True, check=False)
    assert drill.returncode == 1, drill.stderr
    missed = [result["expected"] for result in json.loads(drill.stdout)["expected"] if not result["ok"]]
    assert missed == ["the new job completes", "its picture is there", "POST /prompt … 200 OK"]
    assert "3 of " in drill.stderr
    assert labs_below(folder) == []


@pytest.mark.e2e
def test_a_ctrl_c_in_the_middle_of_the_drill_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "tmp"
    environ = own_temporary(folder)
    with subprocess.Popen(DRILL, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as drill:
        wait_until(lambda: drill.poll() is not None or labs_below(folder), 30, "the first process of its lab")
        drill.send_signal(signal.SIGINT)
        out, said = drill.communicate(timeout=30)
    assert (drill.returncode, out) == (130, "")
    assert "Traceback" not in said
    assert labs_below(folder) == []
    assert list(folder.iterdir()) == []
