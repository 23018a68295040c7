"""Nodes that make, load, change and save pictures."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

import io
import json
import string
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from runbooks.kernie.nodes.inputs import INT, MAX_RESOLUTION, STRING, Input, InputFile, World, choice, link
from runbooks.kernie.nodes.registry import Nodes, Result
from runbooks.kernie.nodes.values import Pictures

NODES = Nodes()
METADATA = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}
MAX_KEYWORD = 79
SAVE_LEVEL = 4
PREVIEW_LEVEL = 1


def png_metadata(prompt: dict[str, Any], extra_pnginfo: dict[str, Any]) -> PngInfo:
    """The text chunks that ComfyUI writes: `prompt`, and each of `extra_pnginfo` (such as `workflow`), as JSON."""
    chunks = {"prompt": prompt, **extra_pnginfo}
    return png_texts({name: json.dumps(value) for name, value in chunks.items()})


def png_texts(texts: dict[str, str]) -> PngInfo:
    """Text chunks by keyword. Keywords that PNG cannot hold are cut or left out."""
    metadata = PngInfo()
    for name, text in texts.items():
        keyword = name.encode("latin-1", "ignore").decode("latin-1")[:MAX_KEYWORD]
        if keyword:
            metadata.add_text(keyword, text)
    return metadata


def write_pictures(run: Any, pictures: Pictures, prefix: str, kind: str, level: int) -> list[dict[str, str]]:
    """Write PNG files under the next free counters and return what /history says of them."""
    metadata = png_metadata(run.prompt, run.extra_pnginfo)
    target = run.mock.folders.save_target(prefix, kind, pictures.size)
    saved = []
    for index, frame in enumerate(pictures.frames):
        counter = target.counter + index
        filename = f"{target.name.replace('%batch_num%', str(index))}_{counter:05}_.png"
        data = png_bytes(frame, metadata, level)
        if run.mock.faults.during_run("truncated_image"):
            data = data[: len(data) // 2]
        (target.folder / filename).write_bytes(data)
        run.mock.folders.remember(target, counter)
        saved.append({"filename": filename, "subfolder": target.subfolder, "type": kind})
    return saved


def png_bytes(frame: Image.Image, metadata: PngInfo, level: int) -> bytes:
    """The picture as a PNG file."""
    data = io.BytesIO()
    frame.save(data, "PNG", pnginfo=metadata, compress_level=level)
    return data.getvalue()


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
async def save(run: Any, images: Pictures, filename_prefix: str) -> Result:
    saved = await run.in_thread(write_pictures, run, images, filename_prefix, "output", SAVE_LEVEL)
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
async def preview(run: Any, images: Pictures) -> Result:
    if "suffix" not in run.memory:
        letters = run.mock.chance
        run.memory["suffix"] = "".join(letters.choices(string.ascii_lowercase, k=5))
    prefix = f"ComfyUI_temp_{run.memory['suffix']}"
    return Result(
        (images,), {"images": await run.in_thread(write_pictures, run, images, prefix, "temp", PREVIEW_LEVEL)}
    )


@NODES.node(
    "EmptyImage",
    display_name="Empty Image",
    category="image",
    required={
        "width": INT(512, 1, MAX_RESOLUTION, 1),
        "height": INT(512, 1, MAX_RESOLUTION, 1),
        "batch_size": INT(1, 1, 4096),
        "color": INT(0, 0, 0xFFFFFF, 1, display="color"),
    },
    outputs=("IMAGE",),
)
async def empty(run: Any, width: int, height: int, batch_size: int = 1, color: int = 0) -> tuple[Pictures]:
    fill = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return (Pictures((Image.new("RGB", (width, height), fill),) * batch_size),)


def _file_stamp(world: World, inputs: Any) -> Any:
    """Changes when the file does, so that the node reads it again."""
    path = world.folders.find_input(str(inputs.get("image")))
    return (path.stat().st_mtime_ns, path.stat().st_size) if path else None


def read_picture(path: Path | None) -> tuple[Pictures, Pictures]:
    """A file's picture and its mask (white where it is transparent).

    Raises:
        PIL.UnidentifiedImageError, OSError: if it is no picture.
    """
    with Image.open(path or "") as opened:
        picture = ImageOps.exif_transpose(opened)
        if "A" in picture.getbands() or "transparency" in picture.info:
            mask = ImageOps.invert(picture.convert("RGBA").getchannel("A"))
        else:
            mask = Image.new("L", (64, 64), 0)
        return Pictures((picture.convert("RGB"),)), Pictures((mask,))


@NODES.node(
    "LoadImage",
    display_name="Load Image",
    category="image",
    required={"image": InputFile("COMBO", {"image_upload": True})},
    outputs=("IMAGE", "MASK"),
    changed=_file_stamp,
)
async def load(run: Any, image: str) -> tuple[Pictures, Pictures]:
    found: tuple[Pictures, Pictures] = await run.in_thread(read_picture, run.mock.folders.find_input(image))
    return found


METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
RESAMPLING = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def resized(pictures: Pictures, size: tuple[int, int], method: str, crop: str = "disabled") -> Pictures:
    """All frames at another size; `crop="center"` keeps the proportions and cuts what is over."""
    how = RESAMPLING[method]
    if crop == "center":
        return pictures.mapped(lambda frame: ImageOps.fit(frame, size, how))
    return pictures.mapped(lambda frame: frame.resize(size, how))


def free_side() -> Input:
    """A width or height where 0 means: as the proportions want it."""
    return INT(512, 0, MAX_RESOLUTION, 1)


def wanted_size(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Fill in a width or height of 0 from the proportions."""
    if width == 0:
        width = max(1, round(size[0] * height / size[1]))
    elif height == 0:
        height = max(1, round(size[1] * width / size[0]))
    return width, height


@NODES.node(
    "ImageScale",
    display_name="Upscale Image",
    category="image/upscaling",
    required={
        "image": link("IMAGE"),
        "upscale_method": choice(*METHODS),
        "width": free_side(),
        "height": free_side(),
        "crop": choice("disabled", "center"),
    },
    outputs=("IMAGE",),
)
async def scale(run: Any, image: Pictures, upscale_method: str, width: int, height: int, crop: str) -> tuple[Pictures]:
    if width == 0 and height == 0:
        return (image,)
    size = wanted_size(image.size, width, height)
    return (await run.in_thread(resized, image, size, upscale_method, crop),)


@NODES.node(
    "ImageInvert",
    display_name="Invert Image Colors",
    category="image/color",
    required={"image": link("IMAGE")},
    outputs=("IMAGE",),
)
async def invert(run: Any, image: Pictures) -> tuple[Pictures]:
    return (image.mapped(ImageOps.invert),)
