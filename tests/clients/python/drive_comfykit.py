"""comfykit: fills a workflow in by the titles of its nodes, uploads what it is told to, polls /history."""

import asyncio
import json
import urllib.request
from typing import Any

from comfykit import ComfyKit
from steps import Desk, NotOfferedError, drive


class Driver:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def _execute(self, workflow: dict[str, Any], **parameters: object) -> list[str]:
        (self.desk.folder / "kit.json").write_text(json.dumps(workflow))

        async def run() -> list[str]:
            # Not as a context manager: this version cannot close its HTTP executor.
            kit = ComfyKit(comfyui_url=self.desk.url, executor_type="http")
            result = await kit.execute("kit.json", parameters)
            assert result.status == "completed", result.msg
            return result.images

        return asyncio.run(run())

    def generate(self) -> None:
        workflow = self.desk.workflow
        workflow["6"]["_meta"]["title"] = "Text, $prompt.text!"
        self.images = self._execute(workflow, prompt="a red fox by comfykit")

    def read(self) -> str:
        with urllib.request.urlopen(self.images[0]) as answer:
            self.desk.keep(answer.read())
        return "by the URL it gives"

    def upload(self) -> None:
        load = {"class_type": "LoadImage", "inputs": {"image": ""}, "_meta": {"title": "Picture, $~image!"}}
        save = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "kit"}}
        self._execute({"1": load, "2": {**save, "_meta": {"title": "Save"}}}, image=str(self.desk.picture))

    def interrupt(self) -> None:
        raise NotOfferedError


drive(Driver)
