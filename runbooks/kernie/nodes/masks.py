"""Nodes that make and change masks: pictures of mode L, white where something is to happen."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageFilter, ImageOps

from runbooks.kernie.nodes.images import cropped, extent, position
from runbooks.kernie.nodes.inputs import BOOLEAN, FLOAT, INT, MAX_RESOLUTION, Input, choice, link, modern
from runbooks.kernie.nodes.registry import NodeFunction, Nodes
from runbooks.kernie.nodes.sizes import check_size
from runbooks.kernie.nodes.values import Pictures

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()
WHITE = 255


def _mask_node(name: str, display_name: str, output: str, **inputs: Input) -> Callable[[NodeFunction], NodeFunction]:
    """A node of the mask family."""
    return NODES.node(
        name,
        display_name=display_name,
        category="image/mask",
        module="comfy_extras.nodes_mask",
        required=modern(inputs),
        outputs=(output,),
    )


@_mask_node("MaskToImage", "Convert Mask to Image", "IMAGE", mask=link("MASK"))
async def to_image(run: NodeRun, mask: Pictures) -> tuple[Pictures]:
    return (mask.mapped(lambda frame: frame.convert("RGB")),)


@_mask_node(
    "ImageToMask",
    "Convert Image to Mask",
    "MASK",
    image=link("IMAGE"),
    channel=choice("red", "green", "blue", "alpha"),
)
async def to_mask(run: NodeRun, image: Pictures, channel: str) -> tuple[Pictures]:
    return (image.mapped(lambda frame: frame.convert("RGBA").getchannel(channel[0].upper())),)


@_mask_node(
    "SolidMask",
    "Create Solid Mask",
    "MASK",
    value=FLOAT(1.0, 0.0, 1.0, 0.01),
    width=extent(),
    height=extent(),
)
async def solid(run: NodeRun, value: float, width: int, height: int) -> tuple[Pictures]:
    return (Pictures((Image.new("L", check_size(width, height), round(value * WHITE)),)),)


@_mask_node("InvertMask", "Invert Mask", "MASK", mask=link("MASK"))
async def invert(run: NodeRun, mask: Pictures) -> tuple[Pictures]:
    return (mask.mapped(ImageOps.invert),)


@_mask_node(
    "CropMask",
    "Crop Mask",
    "MASK",
    mask=link("MASK"),
    x=position(),
    y=position(),
    width=extent(),
    height=extent(),
)
async def crop(run: NodeRun, mask: Pictures, x: int, y: int, width: int, height: int) -> tuple[Pictures]:
    return (cropped(mask, x, y, width, height),)


@_mask_node(
    "GrowMask",
    "Grow Mask",
    "MASK",
    mask=link("MASK"),
    expand=INT(0, -MAX_RESOLUTION, MAX_RESOLUTION, 1),
    tapered_corners=BOOLEAN(default=True, advanced=True),
)
async def grow(run: NodeRun, mask: Pictures, expand: int, tapered_corners: bool) -> tuple[Pictures]:
    return (await run.in_thread(_grown, mask, expand, tapered_corners),)


def _grown(mask: Pictures, expand: int, tapered: bool) -> Pictures:
    """Grown or shrunk by some pixels; more than the picture has change nothing more."""
    grow = (_towards_cross if tapered else _towards_square)(expand > 0)
    for _ in range(min(abs(expand), max(mask.size))):
        mask = mask.mapped(grow)
    return mask


def _towards_square(larger: bool) -> Callable[[Image.Image], Image.Image]:
    """One pixel further in all eight directions."""
    around = ImageFilter.MaxFilter(3) if larger else ImageFilter.MinFilter(3)
    return lambda frame: frame.filter(around)


def _towards_cross(larger: bool) -> Callable[[Image.Image], Image.Image]:
    """One pixel further up, down, left and right: corners become slanted."""
    chosen = ImageChops.lighter if larger else ImageChops.darker

    def grow(frame: Image.Image) -> Image.Image:
        result = frame
        for place in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            # Beyond the edge there is nothing that would make the mask larger or smaller.
            moved = Image.new("L", frame.size, 0 if larger else WHITE)
            moved.paste(frame, place)
            result = chosen(result, moved)
        return result

    return grow


@_mask_node(
    "FeatherMask",
    "Feather Mask",
    "MASK",
    mask=link("MASK"),
    left=position(),
    top=position(),
    right=position(),
    bottom=position(),
)
async def feather(run: NodeRun, mask: Pictures, left: int, top: int, right: int, bottom: int) -> tuple[Pictures]:
    width, height = mask.size
    across = _ramp(width, min(left, width), min(right, width)).resize(mask.size)
    down = _ramp(height, min(top, height), min(bottom, height)).transpose(Image.Transpose.ROTATE_270).resize(mask.size)
    return (mask.mapped(lambda frame: ImageChops.multiply(ImageChops.multiply(frame, across), down)),)


def _ramp(length: int, start: int, end: int) -> Image.Image:
    """One row of pixels that rises at its start and falls at its end."""
    row = Image.new("L", (length, 1), WHITE)
    for place in range(length):
        rise = (place + 1) / start if place < start else 1.0
        fall = (length - place) / end if length - place <= end else 1.0
        row.putpixel((place, 0), round(WHITE * rise * fall))
    return row


@_mask_node("ThresholdMask", "Threshold Mask", "MASK", mask=link("MASK"), value=FLOAT(0.5, 0.0, 1.0, 0.01))
async def threshold(run: NodeRun, mask: Pictures, value: float) -> tuple[Pictures]:
    table = [WHITE if level > value * WHITE else 0 for level in range(WHITE + 1)]
    return (mask.mapped(lambda frame: frame.point(table)),)


COMBINED = {
    "multiply": ImageChops.multiply,
    "add": ImageChops.add,
    "subtract": ImageChops.subtract,
    "and": ImageChops.darker,
    "or": ImageChops.lighter,
    "xor": ImageChops.difference,
}
LOGICAL = ("and", "or", "xor")


def _decided(mask: Image.Image) -> Image.Image:
    """Black or white, whichever is nearer."""
    return mask.point([WHITE if level > WHITE / 2 else 0 for level in range(WHITE + 1)])


@_mask_node(
    "MaskComposite",
    "Combine Masks",
    "MASK",
    destination=link("MASK"),
    source=link("MASK"),
    x=position(),
    y=position(),
    operation=choice(*COMBINED),
)
async def combine(
    run: NodeRun, destination: Pictures, source: Pictures, x: int, y: int, operation: str
) -> tuple[Pictures]:
    combined = COMBINED[operation]

    def changed(frame: Image.Image) -> Image.Image:
        right, bottom = min(x + source.size[0], frame.size[0]), min(y + source.size[1], frame.size[1])
        if right <= x or bottom <= y:
            return frame
        result = frame.copy()
        below, above = frame.crop((x, y, right, bottom)), source.frames[0].crop((0, 0, right - x, bottom - y))
        if operation in LOGICAL:
            below, above = _decided(below), _decided(above)
        result.paste(combined(below, above), (x, y))
        return result

    return (destination.mapped(changed),)
