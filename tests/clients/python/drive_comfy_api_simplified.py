"""comfy-api-simplified: posts first, connects its WebSocket afterwards, waits for `executing` null."""

from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper
from steps import Desk, drive


class Driver:
    def __init__(self, desk: Desk) -> None:
        self.desk, self.client = desk, ComfyApiWrapper(desk.url)

    def generate(self) -> None:
        workflow = ComfyWorkflowWrapper(str(self.desk.workflow_file))
        workflow.set_node_param("KSampler", "seed", 11)
        self.images = self.client.queue_and_wait_images(workflow, "Save Image")

    def read(self) -> None:
        (name,) = self.images
        self.desk.keep(self.client.get_image(name, "", "output"))

    def upload(self) -> None:
        self.client.upload_image(self.desk.picture)

    def interrupt(self) -> None:
        slow = ComfyApiWrapper(self.desk.slow_url)
        workflow = ComfyWorkflowWrapper(str(self.desk.workflow_file))
        self.desk.interrupt_while(lambda: slow.queue_and_wait_images(workflow, "Save Image"), slow.interrupt)


drive(Driver)
