"""comfyapi: polls /history and builds the address of the image itself."""

from comfyapi import ComfyAPIManager
from steps import Desk, NotOfferedError, drive


class Driver:
    def __init__(self, desk: Desk) -> None:
        self.desk, self.client = desk, ComfyAPIManager()

    def generate(self) -> None:
        self.client.set_base_url(self.desk.url)
        self.client.load_workflow(str(self.desk.workflow_file))
        self.client.edit_workflow(["3", "inputs", "seed"], 12)
        self.prompt_id = self.client.submit_workflow()
        self.client.wait_for_finish(self.prompt_id, poll_interval=1)

    def read(self) -> None:
        self.client.download_output(self.client.find_output(self.prompt_id), filename="read.png")

    def upload(self) -> None:
        raise NotOfferedError

    def interrupt(self) -> None:
        raise NotOfferedError


drive(Driver)
