"""comfyui-workflow-client: fills nodes in by title, polls /history, uploads into a subfolder."""

from comfyuiclient import ComfyUIClient
from PIL import Image
from steps import Desk, NotOfferedError, drive


class Driver:
    def __init__(self, desk: Desk) -> None:
        self.desk, self.client = desk, ComfyUIClient(desk.host, str(desk.workflow_file))

    def generate(self) -> None:
        self.client.connect()
        self.client.set_data(key="KSampler", seed=14)
        self.images = self.client.generate(["Save Image"])

    def read(self) -> None:
        self.images["Save Image"].save("read.png")

    def upload(self) -> None:
        with Image.open(self.desk.picture) as picture:
            self.client.set_data(key="KSampler", image=picture)
        self.client.close()

    def interrupt(self) -> None:
        raise NotOfferedError


drive(Driver)
