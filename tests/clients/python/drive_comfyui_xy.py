"""comfyui-xy: polls /history, posts without a client id."""

from comfyui_xy import ComfyUiClient
from steps import Desk, drive


class Driver:
    def __init__(self, desk: Desk) -> None:
        self.desk, self.client = desk, ComfyUiClient(desk.url, raise_on_error=True)

    def generate(self) -> None:
        self.outputs = self.client.process_workflow(self.desk.workflow, return_raw=True, execution_timeout=60)

    def read(self) -> None:
        (found,) = self.client.extract_outputs(self.outputs)
        found.save("read.png")

    def upload(self) -> None:
        self.client.upload_image(str(self.desk.picture))

    def interrupt(self) -> None:
        slow = ComfyUiClient(self.desk.slow_url, raise_on_error=True)
        self.desk.interrupt_while(lambda: slow.process_workflow(self.desk.workflow), slow.interrupt)


drive(Driver)
