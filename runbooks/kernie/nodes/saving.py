"""Nodes that bring pictures in from files and out to files, previews and clients."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: D103
from __future__ import annotations

import json
import string
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps, ImageSequence

from runbooks.kernie.files import write_whole
from runbooks.kernie.frames import Preview
from runbooks.kernie.nodes.inputs import STRING, Input, InputFile, World, choice, link
from runbooks.kernie.nodes.registry import Nodes, Result
from runbooks.kernie.nodes.sizes import check_size
from runbooks.kernie.nodes.values import Pictures
from runbooks.kernie.png import png

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()
METADATA = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}


def texts_of(run: NodeRun) -> dict[str, str]:
    """What ComfyUI writes into a picture: `prompt`, and each of `extra_pnginfo` (such as `workflow`), as JSON."""
    return {name: json.dumps(value) for name, value in {"prompt": run.prompt, **run.extra_pnginfo}.items()}


def write_pictures(run: NodeRun, pictures: Pictures, prefix: str, kind: str) -> list[dict[str, str]]:
    """Write PNG files under the next free counters and return what /history says of them."""
    texts = texts_of(run)
    target = run.mock.folders.save_target(prefix, kind, pictures.size)
    saved = []
    for index, frame in enumerate(pictures.frames):
        counter = target.counter + index
        filename = f"{target.name.replace('%batch_num%', str(index))}_{counter:05}_.png"
        data = png(frame, texts)
        if run.mock.faults.during_run("truncated_image"):
            data = data[: len(data) // 2]
        write_whole(target.folder / filename, data)
        run.mock.folders.remember(target, counter)
        saved.append({"filename": filename, "subfolder": target.subfolder, "type": kind})
    return saved


@NODES.node(
    "SaveImage",
    display_name="Save Image",
    category="image",
    is_output=True,
    required={"images": link("IMAGE", described=True), "filename_prefix": STRING(default="ComfyUI")},
    hidden=METADATA,
    outputs=("IMAGE",),
    output_names=("images",),
)
async def save(run: NodeRun, images: Pictures, filename_prefix: str) -> Result:
    saved = await run.in_thread(write_pictures, run, images, filename_prefix, "output")
    return Result((images,), {"images": saved})


@NODES.node(
    "PreviewImage",
    display_name="Preview Image",
    category="image",
    is_output=True,
    required={"images": link("IMAGE")},
    hidden=METADATA,
    outputs=("IMAGE",),
    output_names=("images",),
)
async def preview(run: NodeRun, images: Pictures) -> Result:
    if "suffix" not in run.memory:
        letters = run.mock.chance
        run.memory["suffix"] = "".join(letters.choices(string.ascii_lowercase, k=5))
    prefix = f"ComfyUI_temp_{run.memory['suffix']}"
    return Result((images,), {"images": await run.in_thread(write_pictures, run, images, prefix, "temp")})


@NODES.node(
    "SaveImageWebsocket",
    display_name="SaveImageWebsocket",
    category="api/image",
    module="custom_nodes.websocket_image_save",
    is_output=True,
    required={"images": link("IMAGE")},
    changed=lambda world, inputs: time.monotonic_ns(),  # noqa: ARG005 - sends again each time
)
async def send(run: NodeRun, images: Pictures) -> Result:
    for step, frame in enumerate(images.frames):
        preview = Preview(frame, "PNG", max_side=None)
        run.progress(step, len(images.frames), await run.in_thread(preview.prepared))
    return Result()


def _file_stamp(world: World, inputs: Any) -> Any:
    """Changes when the file does, so that the node reads it again."""
    path = world.folders.find_input(str(inputs.get("image")))
    return (path.stat().st_mtime_ns, path.stat().st_size) if path else None


def read_pictures(path: Path | None) -> tuple[Pictures, Pictures]:
    """A file's pictures (several if it is animated) and their masks (white where it is transparent).

    Raises:
        PIL.UnidentifiedImageError, OSError: if it is no picture.
        OutOfMemoryError: if it is too big.
    """
    with Image.open(path or "") as opened:
        check_size(*opened.size, getattr(opened, "n_frames", 1))
        frames = [ImageOps.exif_transpose(frame.copy()) for frame in ImageSequence.Iterator(opened)]
    frames = [frame for frame in frames if frame.size == frames[0].size]
    masks = tuple(_mask_of(frame) for frame in frames)
    return Pictures(tuple(frame.convert("RGB") for frame in frames)), Pictures(masks)


def _mask_of(frame: Image.Image) -> Image.Image:
    if "A" in frame.getbands() or "transparency" in frame.info:
        return ImageOps.invert(frame.convert("RGBA").getchannel("A"))
    return Image.new("L", (64, 64), 0)


def _image_file() -> Input:
    return InputFile("COMBO", {"image_upload": True})


async def load(run: NodeRun, image: str) -> tuple[Pictures, Pictures]:
    found: tuple[Pictures, Pictures] = await run.in_thread(read_pictures, run.mock.folders.find_input(image))
    return found


NODES.node(
    "LoadImage",
    display_name="Load Image",
    category="image",
    required={"image": _image_file()},
    outputs=("IMAGE", "MASK"),
    changed=_file_stamp,
)(load)


@NODES.node(
    "LoadImageMask",
    display_name="Load Image (as Mask)",
    category="image",
    required={"image": _image_file(), "channel": choice("alpha", "red", "green", "blue")},
    outputs=("MASK",),
    changed=_file_stamp,
)
async def load_mask(run: NodeRun, image: str, channel: str) -> tuple[Pictures]:
    pictures, masks = await load(run, image)
    if channel == "alpha":
        return (masks,)
    return (pictures.mapped(lambda frame: frame.getchannel(channel[0].upper())),)
