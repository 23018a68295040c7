"""comfyui-utils: looks itself up in /queue at each status, takes the images from `executed`."""

import asyncio
import io
from typing import Any

from comfyui_utils import comfy
from steps import Desk, NotOfferedError, drive


class Told(comfy.Callbacks):
    outputs: dict[str, Any]

    async def queue_position(self, position: int) -> None:
        pass

    async def in_progress(self, node_id: int, progress: int, total: int) -> None:
        pass

    async def completed(self, outputs: dict[str, Any], cached: bool) -> None:  # noqa: ARG002
        self.outputs = outputs


class Driver:
    def __init__(self, desk: Desk) -> None:
        self.desk, self.client = desk, comfy.ComfyAPI(desk.host)

    def generate(self) -> None:
        self.told = Told()
        asyncio.run(self.client.submit(self.desk.workflow, self.told))

    def read(self) -> None:
        async def keep(data: io.BytesIO) -> None:
            self.desk.keep(data.read())

        asyncio.run(self.client.fetch(self.told.outputs["images"][0], keep))

    def upload(self) -> None:
        raise NotOfferedError

    def interrupt(self) -> None:
        raise NotOfferedError


drive(Driver)
