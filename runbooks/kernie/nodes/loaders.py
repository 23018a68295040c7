"""Nodes that load models. A model is its name: nothing is read."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from typing import TYPE_CHECKING

from runbooks.kernie.nodes.inputs import FLOAT, Input, choice, link, model, modern
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.values import Model

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()
LOADERS = "model/loaders"
CLIP_TYPES = (
    "stable_diffusion stable_cascade sd3 stable_audio mochi ltxv pixart cosmos lumina2 wan hidream chroma ace "
    "omnigen2 qwen_image hunyuan_image flux2 ovis longcat_image cogvideox lens pixeldit ideogram4 boogu krea2 "
    "joyimage mage minimax"
)
DUAL_CLIP_TYPES = (
    "sdxl sd3 flux hunyuan_video hidream hunyuan_image hunyuan_video_15 kandinsky5 kandinsky5_image ltxv newbie ace"
)
DEVICE = {"device": choice("default", "cpu", advanced=True)}


@NODES.node(
    "CheckpointLoaderSimple",
    display_name="Load Checkpoint",
    category=LOADERS,
    required={"ckpt_name": model("checkpoints", described=True)},
    outputs=("MODEL", "CLIP", "VAE"),
)
async def load_checkpoint(run: NodeRun, ckpt_name: str) -> tuple[Model, Model, Model]:
    return Model("model", ckpt_name), Model("clip", ckpt_name), Model("vae", ckpt_name)


def _strength() -> Input:
    return FLOAT(1.0, -100.0, 100.0, 0.01)


@NODES.node(
    "LoraLoader",
    display_name="Load LoRA (Model and CLIP)",
    category=LOADERS,
    required={
        "model": link("MODEL", described=True),
        "clip": link("CLIP", described=True),
        "lora_name": model("loras", described=True),
        "strength_model": _strength(),
        "strength_clip": _strength(),
    },
    outputs=("MODEL", "CLIP"),
)
async def load_lora(
    run: NodeRun, model: Model, clip: Model, lora_name: str, strength_model: float, strength_clip: float
) -> tuple[Model, Model]:
    return model.with_lora(lora_name, strength_model), clip.with_lora(lora_name, strength_clip)


@NODES.node(
    "LoraLoaderModelOnly",
    display_name="Load LoRA",
    category=LOADERS,
    required={"model": link("MODEL"), "lora_name": model("loras"), "strength_model": _strength()},
    outputs=("MODEL",),
)
async def load_lora_for_model(run: NodeRun, model: Model, lora_name: str, strength_model: float) -> tuple[Model]:
    return (model.with_lora(lora_name, strength_model),)


@NODES.node(
    "UNETLoader",
    display_name="Load Diffusion Model",
    category=LOADERS,
    required={
        "unet_name": model("diffusion_models"),
        "weight_dtype": choice("default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2", advanced=True),
    },
    outputs=("MODEL",),
)
async def load_diffusion_model(run: NodeRun, unet_name: str, weight_dtype: str) -> tuple[Model]:
    return (Model("model", unet_name),)


@NODES.node(
    "CLIPLoader",
    display_name="Load CLIP",
    category=LOADERS,
    required={"clip_name": model("text_encoders"), "type": choice(*CLIP_TYPES.split())},
    optional=DEVICE,
    outputs=("CLIP",),
)
async def load_clip(run: NodeRun, clip_name: str, type: str, device: str = "default") -> tuple[Model]:  # noqa: A002
    return (Model("clip", clip_name),)


@NODES.node(
    "DualCLIPLoader",
    display_name="Load CLIP (Dual)",
    category=LOADERS,
    required={
        "clip_name1": model("text_encoders"),
        "clip_name2": model("text_encoders"),
        "type": choice(*DUAL_CLIP_TYPES.split()),
    },
    optional=DEVICE,
    outputs=("CLIP",),
)
async def load_two_clips(
    run: NodeRun,
    clip_name1: str,
    clip_name2: str,
    type: str,  # noqa: A002
    device: str = "default",
) -> tuple[Model]:
    return (Model("clip", f"{clip_name1}+{clip_name2}"),)


@NODES.node(
    "TripleCLIPLoader",
    display_name="Load CLIP (Triple)",
    category=LOADERS,
    module="comfy_extras.nodes_sd3",
    required=modern({f"clip_name{number}": model("text_encoders") for number in (1, 2, 3)}),
    optional=modern(dict(DEVICE)),
    outputs=("CLIP",),
)
async def load_three_clips(
    run: NodeRun, clip_name1: str, clip_name2: str, clip_name3: str, device: str = "default"
) -> tuple[Model]:
    return (Model("clip", f"{clip_name1}+{clip_name2}+{clip_name3}"),)


def _simple_loader(name: str, display_name: str, given: str, folder: str, output: str, *built_in: str) -> None:
    """A loader that takes one name and gives one thing."""

    async def load(run: NodeRun, **inputs: str) -> tuple[Model]:
        return (Model(output.lower(), inputs[given]),)

    required = {given: model(folder, *built_in)}
    NODES.node(name, display_name=display_name, category=LOADERS, required=required, outputs=(output,))(load)


_simple_loader("VAELoader", "Load VAE", "vae_name", "vae", "VAE", "pixel_space")
_simple_loader("CLIPVisionLoader", "Load CLIP Vision", "clip_name", "clip_vision", "CLIP_VISION")
_simple_loader("ControlNetLoader", "Load ControlNet Model", "control_net_name", "controlnet", "CONTROL_NET")
_simple_loader("StyleModelLoader", "Load Style Model", "style_model_name", "style_models", "STYLE_MODEL")


@NODES.node(
    "UpscaleModelLoader",
    display_name="Load Upscale Model",
    category=LOADERS,
    module="comfy_extras.nodes_upscale_model",
    required=modern({"model_name": model("upscale_models")}),
    outputs=("UPSCALE_MODEL",),
)
async def load_upscale_model(run: NodeRun, model_name: str) -> tuple[Model]:
    return (Model("upscale_model", model_name),)
