"""Nodes that make latents, and turn them into pictures and back."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from runbooks.kernie.nodes.inputs import FLOAT, INT, MAX_RESOLUTION, Input, choice, link, modern, side
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.sizes import check_size
from runbooks.kernie.nodes.values import Latent, Model, Pictures, Recipe
from runbooks.kernie.pictures import draw

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()
CATEGORY = "model/latent"
CELL = 8
SMALLEST = 64
GREY = (127, 127, 127)


def _whole_cells(length: int) -> int:
    """A latent has one cell for eight pixels."""
    return max(length // CELL, 1) * CELL


async def empty_latent(run: NodeRun, width: int, height: int, batch_size: int) -> tuple[Latent]:
    check_size(width, height, batch_size)
    return (Latent(_whole_cells(width), _whole_cells(height), batch_size),)


NODES.node(
    "EmptyLatentImage",
    display_name="Empty Latent Image",
    category=CATEGORY,
    required={"width": side(), "height": side(), "batch_size": INT(1, 1, 4096)},
    outputs=("LATENT",),
)(empty_latent)
NODES.node(
    "EmptySD3LatentImage",
    category="model/latent/stable diffusion",
    module="comfy_extras.nodes_sd3",
    required=modern({"width": side(1024, step=16), "height": side(1024, step=16), "batch_size": INT(1, 1, 4096)}),
    outputs=("LATENT",),
)(empty_latent)


def develop(latent: Latent) -> Pictures:
    """The pictures of a latent. Raises OutOfMemoryError if they are too many."""
    size = check_size(latent.width, latent.height, latent.batch)
    if latent.pictures:
        return Pictures(latent.pictures)
    if latent.recipe is None:
        return Pictures((Image.new("RGB", size, GREY),) * latent.batch)
    recipe: Recipe = latent.recipe
    first = latent.first
    return Pictures(tuple(draw(recipe, size, index) for index in range(first, first + latent.batch)))


def encoded(pixels: Pictures) -> Latent:
    """Pictures as a latent: cut to whole cells."""
    width, height = (_whole_cells(length) for length in pixels.size)
    cut = pixels if (width, height) == pixels.size else pixels.mapped(lambda frame: frame.crop((0, 0, width, height)))
    return Latent(width, height, len(cut.frames), pictures=cut.frames)


async def decode(run: NodeRun, samples: Latent, vae: Model, **tiling: int) -> tuple[Pictures]:
    return (await run.in_thread(develop, samples),)


async def encode(run: NodeRun, pixels: Pictures, vae: Model, **tiling: int) -> tuple[Latent]:
    return (encoded(pixels),)


def _tiling() -> dict[str, Input]:
    return {
        "tile_size": INT(512, 64, 4096, 64, advanced=True),
        "overlap": INT(64, 0, 4096, 32, advanced=True),
        "temporal_size": INT(64, 8, 4096, 4, advanced=True),
        "temporal_overlap": INT(8, 4, 4096, 4, advanced=True),
    }


NODES.node(
    "VAEDecode",
    display_name="VAE Decode",
    category=CATEGORY,
    required={"samples": link("LATENT", described=True), "vae": link("VAE", described=True)},
    outputs=("IMAGE",),
)(decode)
NODES.node(
    "VAEDecodeTiled",
    display_name="VAE Decode (Tiled)",
    category=CATEGORY,
    required={
        "samples": link("LATENT"),
        "vae": link("VAE"),
        **_tiling(),
        "tile_size": INT(512, 64, 4096, 32, advanced=True),
    },
    outputs=("IMAGE",),
)(decode)
NODES.node(
    "VAEEncode",
    display_name="VAE Encode",
    category=CATEGORY,
    required={"pixels": link("IMAGE"), "vae": link("VAE")},
    outputs=("LATENT",),
)(encode)
NODES.node(
    "VAEEncodeTiled",
    display_name="VAE Encode (Tiled)",
    category=CATEGORY,
    required={"pixels": link("IMAGE"), "vae": link("VAE"), **_tiling()},
    outputs=("LATENT",),
)(encode)


@NODES.node(
    "VAEEncodeForInpaint",
    display_name="VAE Encode (for Inpainting)",
    category=CATEGORY,
    required={
        "pixels": link("IMAGE"),
        "vae": link("VAE"),
        "mask": link("MASK"),
        "grow_mask_by": INT(6, 0, 64, 1),
    },
    outputs=("LATENT",),
)
async def encode_for_inpaint(
    run: NodeRun, pixels: Pictures, vae: Model, mask: Pictures, grow_mask_by: int
) -> tuple[Latent]:
    return (encoded(pixels).noting(f"mask {mask.fingerprint()} {grow_mask_by}"),)


@NODES.node(
    "SetLatentNoiseMask",
    display_name="Set Latent Noise Mask",
    category=CATEGORY,
    required={"samples": link("LATENT"), "mask": link("MASK")},
    outputs=("LATENT",),
)
async def set_noise_mask(run: NodeRun, samples: Latent, mask: Pictures) -> tuple[Latent]:
    return (samples.noting(f"mask {mask.fingerprint()}"),)


def _resized(samples: Latent, width: int, height: int, method: str) -> Latent:
    width, height = check_size(_whole_cells(width), _whole_cells(height), samples.batch)
    pictures = tuple(frame.resize((width, height)) for frame in samples.pictures)
    return replace(samples, width=width, height=height, pictures=pictures).noting(f"upscaled {method}")


METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "bislerp")


@NODES.node(
    "LatentUpscale",
    display_name="Upscale Latent",
    category=CATEGORY,
    required={
        "samples": link("LATENT"),
        "upscale_method": choice(*METHODS),
        "width": side(low=0),
        "height": side(low=0),
        "crop": choice("disabled", "center"),
    },
    outputs=("LATENT",),
)
async def upscale(
    run: NodeRun, samples: Latent, upscale_method: str, width: int, height: int, crop: str
) -> tuple[Latent]:
    if width == 0 and height == 0:
        return (samples,)
    if width == 0:
        width = round(samples.width * max(SMALLEST, height) / samples.height)
    elif height == 0:
        height = round(samples.height * max(SMALLEST, width) / samples.width)
    wanted = (samples, max(SMALLEST, width), max(SMALLEST, height), upscale_method)
    return (await run.in_thread(_resized, *wanted),)


@NODES.node(
    "LatentUpscaleBy",
    display_name="Upscale Latent By",
    category=CATEGORY,
    required={
        "samples": link("LATENT"),
        "upscale_method": choice(*METHODS),
        "scale_by": FLOAT(1.5, 0.01, 8.0, 0.01),
    },
    outputs=("LATENT",),
)
async def upscale_by(run: NodeRun, samples: Latent, upscale_method: str, scale_by: float) -> tuple[Latent]:
    width, height = (round(length / CELL * scale_by) * CELL for length in (samples.width, samples.height))
    return (await run.in_thread(_resized, samples, width, height, upscale_method),)


@NODES.node(
    "LatentFromBatch",
    display_name="Get Latent From Batch",
    category="model/latent/batch",
    required={
        "samples": link("LATENT"),
        "batch_index": INT(0, -MAX_RESOLUTION, MAX_RESOLUTION),
        "length": INT(1, 1, 64),
    },
    outputs=("LATENT",),
)
async def from_batch(run: NodeRun, samples: Latent, batch_index: int, length: int) -> tuple[Latent]:
    start = batch_index + samples.batch if batch_index < 0 else batch_index
    start = max(0, min(samples.batch - 1, start))
    count = min(samples.batch - start, length)
    return (
        replace(
            samples,
            batch=count,
            first=samples.first + start,
            pictures=samples.pictures[start : start + count],
        ),
    )


@NODES.node(
    "RepeatLatentBatch",
    display_name="Repeat Latent Batch",
    category="model/latent/batch",
    required={"samples": link("LATENT"), "amount": INT(1, 1, 64)},
    outputs=("LATENT",),
)
async def repeat(run: NodeRun, samples: Latent, amount: int) -> tuple[Latent]:
    check_size(samples.width, samples.height, samples.batch * amount)
    return (replace(samples, batch=samples.batch * amount, pictures=samples.pictures * amount),)
