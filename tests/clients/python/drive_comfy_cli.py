"""comfy-cli: the command `comfy`; checks a workflow against /object_info before it sends it, model names included."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from steps import Desk, drive

COMFY = str(Path(sys.executable).with_name("comfy"))


class Driver:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def _comfy(self, url: str, *arguments: str) -> dict[str, Any]:
        home = str(self.desk.folder)
        environment = {**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "COMFY_LOCAL_URL": url, "DO_NOT_TRACK": "1"}
        command = [COMFY, "--skip-prompt", "--no-enable-telemetry", *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        said = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
        assert said, ended.stderr
        assert said[-1]["ok"], said[-1]["error"]
        data: dict[str, Any] = said[-1]["data"]
        return data

    def generate(self) -> None:
        done = self._comfy(self.desk.url, "run", "--workflow", str(self.desk.workflow_file), "--wait")
        self.prompt_id: str = done["prompt_id"]

    def read(self) -> None:
        self._comfy(self.desk.url, "download", self.prompt_id, "--out-dir", "read")
        (found,) = (self.desk.folder / "read").rglob("*.png")
        self.desk.keep(found.read_bytes())

    def upload(self) -> None:
        self._comfy(self.desk.url, "upload", str(self.desk.picture))

    def interrupt(self) -> None:
        sent = self._comfy(self.desk.slow_url, "run", "--workflow", str(self.desk.workflow_file))
        self.desk.wait_until_running()
        self._comfy(self.desk.slow_url, "jobs", "cancel", sent["prompt_id"])


drive(Driver)
