"""Nodes that make latents, and turn them into pictures and back."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from typing import Any

from PIL import Image

from runbooks.kernie.nodes.inputs import INT, link, side
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.values import Latent, Model, Pictures, Recipe
from runbooks.kernie.pictures import draw

NODES = Nodes()


@NODES.node(
    "EmptyLatentImage",
    display_name="Empty Latent Image",
    category="model/latent",
    required={"width": side(), "height": side(), "batch_size": INT(1, 1, 4096)},
    outputs=("LATENT",),
)
async def empty_latent(run: Any, width: int, height: int, batch_size: int) -> tuple[Latent]:
    return (Latent(width // 8 * 8, height // 8 * 8, batch_size),)


def develop(latent: Latent) -> Pictures:
    """The pictures of a latent."""
    if latent.pictures:
        return Pictures(latent.pictures)
    size = (latent.width, latent.height)
    if latent.recipe is None:
        return Pictures((Image.new("RGB", size, (127, 127, 127)),) * latent.batch)
    recipe: Recipe = latent.recipe
    return Pictures(tuple(draw(recipe, size, index) for index in range(latent.batch)), recipe.prompt)


@NODES.node(
    "VAEDecode",
    display_name="VAE Decode",
    category="model/latent",
    required={"samples": link("LATENT", described=True), "vae": link("VAE", described=True)},
    outputs=("IMAGE",),
)
async def decode(run: Any, samples: Latent, vae: Model) -> tuple[Pictures]:
    return (await run.in_thread(develop, samples),)


@NODES.node(
    "VAEEncode",
    display_name="VAE Encode",
    category="model/latent",
    required={"pixels": link("IMAGE"), "vae": link("VAE")},
    outputs=("LATENT",),
)
async def encode(run: Any, pixels: Pictures, vae: Model) -> tuple[Latent]:
    width, height = pixels.size
    return (Latent(width // 8 * 8, height // 8 * 8, len(pixels.frames), pictures=pixels.frames),)
