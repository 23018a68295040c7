"""The test nodes that were loaded into the recorded server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from runbooks.kernie.frames import Preview
from runbooks.kernie.nodes.inputs import BOOLEAN, FLOAT, INT, STRING, link
from runbooks.kernie.nodes.registry import Block, Nodes
from runbooks.kernie.nodes.values import Conditioning, Pictures

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()
IMAGE = {"image": link("IMAGE")}


def _picture(image: Pictures | None, colour: int = 0) -> Pictures:
    return image or Pictures((Image.new("RGB", (64, 64), (colour % 256, 0, 0)),))


@NODES.node(
    "GoldenSteps",
    required={
        "steps": INT(3, 1, 10000),
        "seconds_per_step": FLOAT(0.05, 0.0, 60.0, 0.01),
        "preview": BOOLEAN(default=False),
        "seed": INT(0, 0, 2**64 - 1),
    },
    optional=IMAGE,
    outputs=("IMAGE",),
)
async def golden_steps(
    run: NodeRun, steps: int, seconds_per_step: float, preview: bool, seed: int, image: Pictures | None = None
) -> tuple[Pictures]:
    result = _picture(image, seed)
    for step in range(1, steps + 1):
        await run.sleep(seconds_per_step)
        run.progress(step, steps, Preview(result.frames[0]) if preview else None)
    return (result,)


@NODES.node("GoldenRaise", required={"message": STRING(default="boom")}, optional=IMAGE, outputs=("IMAGE",))
def golden_raise(run: NodeRun, message: str, image: Pictures | None = None) -> tuple[Pictures]:
    raise ValueError(message)


@NODES.node(
    "GoldenBlock",
    required={"message": STRING(default="blocked"), "silent": BOOLEAN(default=False)},
    optional=IMAGE,
    outputs=("IMAGE",),
)
async def golden_block(run: NodeRun, message: str, silent: bool, image: Pictures | None = None) -> tuple[Block]:
    return (Block(None if silent else message),)


@NODES.node("GoldenProgressText", required={"text": STRING(default="")}, optional=IMAGE, outputs=("IMAGE",))
def golden_progress_text(run: NodeRun, text: str, image: Pictures | None = None) -> tuple[Pictures]:
    run.text(text)
    return (_picture(image),)


@NODES.node("GoldenConditioning", outputs=("CONDITIONING",))
async def golden_conditioning(run: NodeRun) -> tuple[Conditioning]:
    return (Conditioning(),)
