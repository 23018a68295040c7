"""comfy-headless: polls /history, reads the image by name, checks uploads."""

from comfy_headless import ComfyClient
from steps import Desk, drive


class Driver:
    def __init__(self, desk: Desk) -> None:
        self.desk, self.client = desk, ComfyClient(desk.url)

    def generate(self) -> None:
        prompt_id = self.client.queue_prompt(self.desk.workflow)
        self.entry = self.client.wait_for_completion(prompt_id, timeout=60)

    def read(self) -> None:
        image = self.entry["outputs"]["9"]["images"][0]
        self.desk.keep(self.client.get_image(image["filename"], image["subfolder"], image["type"]))

    def upload(self) -> None:
        self.client.upload_image(self.desk.picture)

    def interrupt(self) -> None:
        slow = ComfyClient(self.desk.slow_url)
        prompt_id = slow.queue_prompt(self.desk.workflow)
        self.desk.interrupt_while(lambda: slow.wait_for_completion(prompt_id, timeout=60), slow.cancel_current)


drive(Driver)
