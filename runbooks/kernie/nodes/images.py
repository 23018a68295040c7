"""Nodes that make and change pictures."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from runbooks.kernie.nodes.inputs import BOOLEAN, FLOAT, INT, MAX_RESOLUTION, Input, choice, link, modern
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.sizes import check_size
from runbooks.kernie.nodes.values import Model, Pictures

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()


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
async def empty(run: NodeRun, width: int, height: int, batch_size: int = 1, color: int = 0) -> tuple[Pictures]:
    check_size(width, height)
    fill = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return (Pictures((Image.new("RGB", (width, height), fill),) * batch_size),)


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
    check_size(*size, len(pictures.frames))
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
async def scale(
    run: NodeRun, image: Pictures, upscale_method: str, width: int, height: int, crop: str
) -> tuple[Pictures]:
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
async def invert(run: NodeRun, image: Pictures) -> tuple[Pictures]:
    return (image.mapped(ImageOps.invert),)


@NODES.node(
    "ImageScaleBy",
    display_name="Upscale Image By",
    category="image/upscaling",
    required={
        "image": link("IMAGE"),
        "upscale_method": choice(*METHODS),
        "scale_by": FLOAT(1.0, 0.01, 8.0, 0.01),
    },
    outputs=("IMAGE",),
)
async def scale_by_factor(run: NodeRun, image: Pictures, upscale_method: str, scale_by: float) -> tuple[Pictures]:
    width, height = (max(1, round(length * scale_by)) for length in image.size)
    return (await run.in_thread(resized, image, (width, height), upscale_method),)


@NODES.node(
    "ImageScaleToTotalPixels",
    display_name="Scale Image to Total Pixels",
    category="image/upscaling",
    module="comfy_extras.nodes_post_processing",
    required=modern(
        {
            "image": link("IMAGE"),
            "upscale_method": choice(*METHODS),
            "megapixels": FLOAT(1.0, 0.01, 16.0, 0.01),
            "resolution_steps": INT(1, 1, 256, advanced=True),
        }
    ),
    outputs=("IMAGE",),
)
async def scale_to_megapixels(
    run: NodeRun, image: Pictures, upscale_method: str, megapixels: float, resolution_steps: int
) -> tuple[Pictures]:
    factor = (megapixels * 1024 * 1024 / (image.size[0] * image.size[1])) ** 0.5
    step = resolution_steps
    width, height = (max(step, round(length * factor / step) * step) for length in image.size)
    return (await run.in_thread(resized, image, (width, height), upscale_method),)


@NODES.node(
    "ImageUpscaleWithModel",
    display_name="Upscale Image (using Model)",
    category="image/upscaling",
    module="comfy_extras.nodes_upscale_model",
    required=modern({"upscale_model": link("UPSCALE_MODEL"), "image": link("IMAGE")}),
    outputs=("IMAGE",),
)
async def upscale_with_model(run: NodeRun, upscale_model: Model, image: Pictures) -> tuple[Pictures]:
    width, height = (length * factor_in(upscale_model.name) for length in image.size)
    return (await run.in_thread(resized, image, (width, height), "lanczos"),)


def factor_in(name: str) -> int:
    """The factor that a model's name tells (`4x-UltraSharp`, `RealESRGAN_x2`), or 4."""
    lowered = name.lower()
    return next((factor for factor in (2, 3, 4, 8) if f"{factor}x" in lowered or f"x{factor}" in lowered), 4)


@NODES.node(
    "ImageBatch",
    display_name="Batch Images (DEPRECATED)",
    category="image/batch",
    deprecated=True,
    required={"image1": link("IMAGE"), "image2": link("IMAGE")},
    outputs=("IMAGE",),
)
async def batch(run: NodeRun, image1: Pictures, image2: Pictures) -> tuple[Pictures]:
    second = image2 if image2.size == image1.size else resized(image2, image1.size, "bilinear", "center")
    check_size(*image1.size, len(image1.frames) + len(second.frames))
    return (Pictures(image1.frames + second.frames),)


def position(length: int = 0) -> Input:
    """A place in a picture, in pixels."""
    return INT(length, 0, MAX_RESOLUTION, 1)


def extent() -> Input:
    """A width or height of at least one pixel."""
    return INT(512, 1, MAX_RESOLUTION, 1)


def cropped(pictures: Pictures, x: int, y: int, width: int, height: int) -> Pictures:
    """A part of each frame, at least one pixel of it."""
    left, top = min(x, pictures.size[0] - 1), min(y, pictures.size[1] - 1)
    right, bottom = min(left + width, pictures.size[0]), min(top + height, pictures.size[1])
    return pictures.mapped(lambda frame: frame.crop((left, top, right, bottom)))


@NODES.node(
    "ImageCrop",
    display_name="Crop Image",
    category="image/transform",
    module="comfy_extras.nodes_images",
    required=modern({"image": link("IMAGE"), "width": extent(), "height": extent(), "x": position(), "y": position()}),
    outputs=("IMAGE",),
)
async def crop(run: NodeRun, image: Pictures, width: int, height: int, x: int, y: int) -> tuple[Pictures]:
    return (cropped(image, x, y, width, height),)


@NODES.node(
    "ImagePadForOutpaint",
    display_name="Pad Image for Outpainting",
    category="image/transform",
    required={
        "image": link("IMAGE"),
        **{each: INT(0, 0, MAX_RESOLUTION, 8) for each in ("left", "top", "right", "bottom")},
        "feathering": INT(40, 0, MAX_RESOLUTION, 1, advanced=True),
    },
    outputs=("IMAGE", "MASK"),
)
async def pad(
    run: NodeRun, image: Pictures, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[Pictures, Pictures]:
    size = check_size(image.size[0] + left + right, image.size[1] + top + bottom, len(image.frames))

    def padded(frame: Image.Image) -> Image.Image:
        wide = Image.new("RGB", size, (127, 127, 127))
        wide.paste(frame, (left, top))
        return wide

    mask = Image.new("L", size, 255)
    mask.paste(0, (left, top, left + image.size[0], top + image.size[1]))
    return image.mapped(padded), Pictures((mask,))


@NODES.node(
    "GetImageSize",
    display_name="Get Image Size",
    category="image",
    module="comfy_extras.nodes_images",
    required=modern({"image": link("IMAGE")}),
    outputs=("INT", "INT", "INT"),
    output_names=("width", "height", "batch_size"),
)
async def image_size(run: NodeRun, image: Pictures) -> tuple[int, int, int]:
    return (*image.size, len(image.frames))


@NODES.node(
    "ImageCompositeMasked",
    display_name="Image Composite Masked",
    category="image/compositing",
    module="comfy_extras.nodes_mask",
    required=modern(
        {
            "destination": link("IMAGE"),
            "source": link("IMAGE"),
            "x": position(),
            "y": position(),
            "resize_source": BOOLEAN(default=False),
        }
    ),
    optional=modern({"mask": link("MASK")}),
    outputs=("IMAGE",),
)
async def composite(
    run: NodeRun,
    destination: Pictures,
    source: Pictures,
    x: int,
    y: int,
    resize_source: bool,
    mask: Pictures | None = None,
) -> tuple[Pictures]:
    top = resized(source, destination.size, "bilinear") if resize_source else source
    stencil = resized(mask, top.size, "bilinear").frames[0] if mask is not None else None

    def pasted(frame: Image.Image) -> Image.Image:
        result = frame.copy()
        result.paste(top.frames[0], (x, y), stencil)
        return result

    return (destination.mapped(pasted),)
