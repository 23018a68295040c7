"""Nodes that load models. A model is its name: nothing is read."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from typing import Any

from runbooks.kernie.nodes.inputs import FLOAT, link, model
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.values import Model

NODES = Nodes()
LOADERS = "model/loaders"


@NODES.node(
    "CheckpointLoaderSimple",
    display_name="Load Checkpoint",
    category=LOADERS,
    required={"ckpt_name": model("checkpoints")},
    outputs=("MODEL", "CLIP", "VAE"),
)
async def load_checkpoint(run: Any, ckpt_name: str) -> tuple[Model, Model, Model]:
    return Model("model", ckpt_name), Model("clip", ckpt_name), Model("vae", ckpt_name)


def _strength() -> Any:
    return FLOAT(1.0, -100.0, 100.0, 0.01)


@NODES.node(
    "LoraLoader",
    display_name="Load LoRA (Model and CLIP)",
    category=LOADERS,
    required={
        "model": link("MODEL", described=True),
        "clip": link("CLIP", described=True),
        "lora_name": model("loras"),
        "strength_model": _strength(),
        "strength_clip": _strength(),
    },
    outputs=("MODEL", "CLIP"),
)
async def load_lora(
    run: Any, model: Model, clip: Model, lora_name: str, strength_model: float, strength_clip: float
) -> tuple[Model, Model]:
    return model.with_lora(lora_name, strength_model), clip.with_lora(lora_name, strength_clip)


@NODES.node(
    "LoraLoaderModelOnly",
    display_name="Load LoRA",
    category=LOADERS,
    required={"model": link("MODEL"), "lora_name": model("loras"), "strength_model": _strength()},
    outputs=("MODEL",),
)
async def load_lora_for_model(run: Any, model: Model, lora_name: str, strength_model: float) -> tuple[Model]:
    return (model.with_lora(lora_name, strength_model),)


@NODES.node(
    "VAELoader",
    display_name="Load VAE",
    category=LOADERS,
    required={"vae_name": model("vae", "pixel_space")},
    outputs=("VAE",),
)
async def load_vae(run: Any, vae_name: str) -> tuple[Model]:
    return (Model("vae", vae_name),)
