"""comfy-script: writes Python functions for all of /object_info, then follows the WebSocket."""

from comfy_script.runtime import Workflow, load, queue
from steps import Desk, NotOfferedError, drive


class Driver:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def _workflow(self) -> object:
        from comfy_script.runtime import nodes

        model, clip, vae = nodes.CheckpointLoaderSimple("sd15.safetensors")
        latent = nodes.EmptyLatentImage(128, 96, 1)
        positive, negative = nodes.CLIPTextEncode("a red fox", clip), nodes.CLIPTextEncode("", clip)
        latent = nodes.KSampler(model, 5, 4, 8, "euler", "normal", positive, negative, latent, 1)
        return nodes.SaveImage(nodes.VAEDecode(latent, vae), "script")

    def generate(self) -> None:
        load(self.desk.url)
        with Workflow(wait=True):
            self.image = self._workflow()

    def read(self) -> None:
        (picture,) = self.image.wait()
        picture.save("read.png")

    def upload(self) -> None:
        raise NotOfferedError

    def interrupt(self) -> None:
        load(self.desk.slow_url)
        with Workflow() as workflow:
            self._workflow()
        self.desk.interrupt_while(workflow.task.wait, queue.cancel_current)


drive(Driver)
