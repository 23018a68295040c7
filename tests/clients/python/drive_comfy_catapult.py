"""comfy-catapult: parses every answer into models of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from comfy_catapult.api_client import ComfyAPIClient
from steps import Desk, drive

POLL_SECONDS = 0.1


class Driver:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def _with(self, url: str, act: Callable[[ComfyAPIClient], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with ComfyAPIClient(comfy_api_url=url) as client:
                return await act(client)

        return asyncio.run(run())

    async def _generate(self, client: ComfyAPIClient) -> Any:
        ticket = await client.PostPrompt(prompt_workflow=self.desk.workflow)
        while ticket.prompt_id not in (history := await client.GetHistory(prompt_id=ticket.prompt_id)).root:
            await asyncio.sleep(POLL_SECONDS)
        return history.root[ticket.prompt_id]

    def generate(self) -> None:
        self.entry = self._with(self.desk.url, self._generate)

    def read(self) -> None:
        image = self.entry.outputs["9"].root["images"][0]
        self.desk.keep(
            self._with(
                self.desk.url,
                lambda client: client.GetView(
                    folder_type=image["type"], subfolder=image["subfolder"], filename=image["filename"]
                ),
            )
        )

    def upload(self) -> None:
        self._with(
            self.desk.url,
            lambda client: client.PostUploadImage(
                folder_type="input",
                subfolder="",
                filename=self.desk.picture.name,
                data=self.desk.picture.read_bytes(),
                overwrite=True,
            ),
        )

    def interrupt(self) -> None:
        self.desk.interrupt_while(
            lambda: self._with(self.desk.slow_url, self._generate),
            lambda: self._with(self.desk.slow_url, lambda client: client.PostInterrupt()),
        )


drive(Driver)
