"""Nodes that say what a picture is to show. What they say becomes part of the picture's recipe."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbooks.kernie.nodes.inputs import BOOLEAN, FLOAT, INT, MAX_RESOLUTION, STRING, Input, choice, link, modern
from runbooks.kernie.nodes.latents import encoded
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.values import Conditioning, Latent, Model, Pictures

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()
CATEGORY = "model/conditioning"
TRANSFORM = "model/conditioning/transform"
ONE = ("CONDITIONING",)


def _text() -> Input:
    return STRING(multiline=True, dynamicPrompts=True)


def _encoded(clip: Model, *texts: str) -> Conditioning:
    """Texts by a CLIP; the same text twice (as SDXL has it) is said once."""
    return Conditioning(tuple(dict.fromkeys(texts)), (repr(clip.loras),) if clip.loras else ())


@NODES.node(
    "CLIPTextEncode",
    display_name="CLIP Text Encode (Prompt)",
    category=CATEGORY,
    required={"text": _text(), "clip": link("CLIP", described=True)},
    outputs=ONE,
)
async def encode_text(run: NodeRun, text: str, clip: Model) -> tuple[Conditioning]:
    return (_encoded(clip, text),)


@NODES.node(
    "CLIPTextEncodeSDXL",
    category=CATEGORY,
    module="comfy_extras.nodes_clip_sdxl",
    required=modern(
        {
            "clip": link("CLIP"),
            "width": INT(1024, 0, MAX_RESOLUTION),
            "height": INT(1024, 0, MAX_RESOLUTION),
            "crop_w": INT(0, 0, MAX_RESOLUTION),
            "crop_h": INT(0, 0, MAX_RESOLUTION),
            "target_width": INT(1024, 0, MAX_RESOLUTION),
            "target_height": INT(1024, 0, MAX_RESOLUTION),
            "text_g": _text(),
            "text_l": _text(),
        }
    ),
    outputs=ONE,
)
async def encode_text_sdxl(run: NodeRun, clip: Model, text_g: str, text_l: str, **sizes: int) -> tuple[Conditioning]:
    return (_encoded(clip, text_g, text_l).noting(repr(sizes)),)


@NODES.node(
    "CLIPTextEncodeFlux",
    category=CATEGORY,
    module="comfy_extras.nodes_flux",
    required=modern(
        {"clip": link("CLIP"), "clip_l": _text(), "t5xxl": _text(), "guidance": FLOAT(3.5, 0.0, 100.0, 0.1)}
    ),
    outputs=ONE,
)
async def encode_text_flux(run: NodeRun, clip: Model, clip_l: str, t5xxl: str, guidance: float) -> tuple[Conditioning]:
    return (_encoded(clip, clip_l, t5xxl).noting(f"guidance {guidance}"),)


@NODES.node(
    "CLIPTextEncodeSD3",
    display_name="CLIP Text Encode (SD3)",
    category="model/conditioning/stable diffusion",
    module="comfy_extras.nodes_sd3",
    required=modern(
        {
            "clip": link("CLIP"),
            "clip_l": _text(),
            "clip_g": _text(),
            "t5xxl": _text(),
            "empty_padding": choice("none", "empty_prompt", advanced=True),
        }
    ),
    outputs=ONE,
)
async def encode_text_sd3(
    run: NodeRun, clip: Model, clip_l: str, clip_g: str, t5xxl: str, empty_padding: str
) -> tuple[Conditioning]:
    return (_encoded(clip, clip_l, clip_g, t5xxl).noting(empty_padding),)


@NODES.node(
    "CLIPSetLastLayer",
    display_name="CLIP Set Last Layer",
    category=CATEGORY,
    required={"clip": link("CLIP"), "stop_at_clip_layer": INT(-1, -24, -1, 1, advanced=True)},
    outputs=("CLIP",),
)
async def set_last_layer(run: NodeRun, clip: Model, stop_at_clip_layer: int) -> tuple[Model]:
    return (clip.with_lora(f"last layer {stop_at_clip_layer}", 1.0),)


@NODES.node(
    "ConditioningCombine",
    display_name="Conditioning (Combine)",
    category=TRANSFORM,
    required={"conditioning_1": link("CONDITIONING"), "conditioning_2": link("CONDITIONING")},
    outputs=ONE,
)
async def combine(run: NodeRun, conditioning_1: Conditioning, conditioning_2: Conditioning) -> tuple[Conditioning]:
    return (conditioning_1.joined(conditioning_2, "combine"),)


@NODES.node(
    "ConditioningConcat",
    display_name="Conditioning (Concat)",
    category=TRANSFORM,
    required={"conditioning_to": link("CONDITIONING"), "conditioning_from": link("CONDITIONING")},
    outputs=ONE,
)
async def concat(run: NodeRun, conditioning_to: Conditioning, conditioning_from: Conditioning) -> tuple[Conditioning]:
    return (conditioning_to.joined(conditioning_from, "concat"),)


@NODES.node(
    "ConditioningAverage",
    display_name="Conditioning (Average)",
    category=TRANSFORM,
    required={
        "conditioning_to": link("CONDITIONING"),
        "conditioning_from": link("CONDITIONING"),
        "conditioning_to_strength": FLOAT(1.0, 0.0, 1.0, 0.01),
    },
    outputs=ONE,
)
async def average(
    run: NodeRun, conditioning_to: Conditioning, conditioning_from: Conditioning, conditioning_to_strength: float
) -> tuple[Conditioning]:
    return (conditioning_to.joined(conditioning_from, f"average {conditioning_to_strength}"),)


def _strength() -> Input:
    return FLOAT(1.0, 0.0, 10.0, 0.01)


@NODES.node(
    "ConditioningSetArea",
    display_name="Conditioning (Set Area)",
    category=TRANSFORM,
    required={
        "conditioning": link("CONDITIONING"),
        "width": INT(64, 64, MAX_RESOLUTION, 8),
        "height": INT(64, 64, MAX_RESOLUTION, 8),
        "x": INT(0, 0, MAX_RESOLUTION, 8),
        "y": INT(0, 0, MAX_RESOLUTION, 8),
        "strength": _strength(),
    },
    outputs=ONE,
)
async def set_area(run: NodeRun, conditioning: Conditioning, **area: float) -> tuple[Conditioning]:
    return (conditioning.noting(f"area {area}"),)


@NODES.node(
    "ConditioningSetMask",
    display_name="Conditioning (Set Mask)",
    category=TRANSFORM,
    required={
        "conditioning": link("CONDITIONING"),
        "mask": link("MASK"),
        "strength": _strength(),
        "set_cond_area": choice("default", "mask bounds"),
    },
    outputs=ONE,
)
async def set_mask(
    run: NodeRun, conditioning: Conditioning, mask: Pictures, strength: float, set_cond_area: str
) -> tuple[Conditioning]:
    return (conditioning.noting(f"mask {mask.fingerprint()} {strength} {set_cond_area}"),)


@NODES.node(
    "ConditioningZeroOut",
    display_name="Conditioning Zero Out",
    category=TRANSFORM,
    required={"conditioning": link("CONDITIONING")},
    outputs=ONE,
)
async def zero_out(run: NodeRun, conditioning: Conditioning) -> tuple[Conditioning]:
    return (Conditioning(),)


@NODES.node(
    "ConditioningSetTimestepRange",
    category=TRANSFORM,
    required={
        "conditioning": link("CONDITIONING"),
        "start": FLOAT(0.0, 0.0, 1.0, 0.001),
        "end": FLOAT(1.0, 0.0, 1.0, 0.001),
    },
    outputs=ONE,
)
async def set_range(run: NodeRun, conditioning: Conditioning, start: float, end: float) -> tuple[Conditioning]:
    return (conditioning.noting(f"range {start} {end}"),)


@NODES.node(
    "FluxGuidance",
    category="model/conditioning/flux",
    module="comfy_extras.nodes_flux",
    required=modern({"conditioning": link("CONDITIONING"), "guidance": FLOAT(3.5, 0.0, 100.0, 0.1)}),
    outputs=ONE,
)
async def flux_guidance(run: NodeRun, conditioning: Conditioning, guidance: float) -> tuple[Conditioning]:
    return (conditioning.noting(f"guidance {guidance}"),)


CONTROLNET = "model/conditioning/controlnet"


@NODES.node(
    "ControlNetApply",
    display_name="Apply ControlNet (DEPRECATED)",
    category=CONTROLNET,
    deprecated=True,
    required={
        "conditioning": link("CONDITIONING"),
        "control_net": link("CONTROL_NET"),
        "image": link("IMAGE"),
        "strength": _strength(),
    },
    outputs=ONE,
)
async def apply_controlnet(
    run: NodeRun, conditioning: Conditioning, control_net: Model, image: Pictures, strength: float
) -> tuple[Conditioning]:
    return (conditioning.noting(f"{control_net.name} {image.fingerprint()} {strength}"),)


def _controlled(*more: str) -> dict[str, Input]:
    """What a ControlNet takes that steers both sides; `more` come before the picture."""
    links = ("positive", "CONDITIONING"), ("negative", "CONDITIONING"), ("control_net", "CONTROL_NET")
    return {
        **{name: link(type_) for name, type_ in links},
        **{type_.lower(): link(type_) for type_ in more},
        "image": link("IMAGE"),
        "strength": _strength(),
        "start_percent": FLOAT(0.0, 0.0, 1.0, 0.001),
        "end_percent": FLOAT(1.0, 0.0, 1.0, 0.001),
    }


BOTH = {"outputs": ("CONDITIONING", "CONDITIONING"), "output_names": ("positive", "negative")}


@NODES.node(
    "ControlNetApplySD3",
    display_name="Apply Controlnet with VAE",
    category=CONTROLNET,
    module="comfy_extras.nodes_sd3",
    deprecated=True,
    required=modern(_controlled("VAE")),
    **BOTH,
)
@NODES.node(
    "ControlNetApplyAdvanced",
    display_name="Apply ControlNet",
    category=CONTROLNET,
    required=_controlled(),
    optional={"vae": link("VAE")},
    **BOTH,
)
async def apply_controlnet_to_both(
    run: NodeRun, positive: Conditioning, negative: Conditioning, control_net: Model, image: Pictures, **how: Any
) -> tuple[Conditioning, Conditioning]:
    note = f"{control_net.name} {image.fingerprint()} {how}"
    return positive.noting(note), negative.noting(note)


@NODES.node(
    "CLIPVisionEncode",
    display_name="CLIP Vision Encode",
    category=CATEGORY,
    required={"clip_vision": link("CLIP_VISION"), "image": link("IMAGE"), "crop": choice("center", "none")},
    outputs=("CLIP_VISION_OUTPUT",),
)
async def encode_vision(run: NodeRun, clip_vision: Model, image: Pictures, crop: str) -> tuple[str]:
    return (f"{clip_vision.name} {image.fingerprint()} {crop}",)


@NODES.node(
    "StyleModelApply",
    display_name="Apply Style Model",
    category=CATEGORY,
    required={
        "conditioning": link("CONDITIONING"),
        "style_model": link("STYLE_MODEL"),
        "clip_vision_output": link("CLIP_VISION_OUTPUT"),
        "strength": FLOAT(1.0, 0.0, 10.0, 0.001),
        "strength_type": choice("multiply", "attn_bias"),
    },
    outputs=ONE,
)
async def apply_style(
    run: NodeRun,
    conditioning: Conditioning,
    style_model: Model,
    clip_vision_output: str,
    strength: float,
    strength_type: str,
) -> tuple[Conditioning]:
    return (conditioning.noting(f"{style_model.name} {clip_vision_output} {strength} {strength_type}"),)


@NODES.node(
    "InpaintModelConditioning",
    category="model/conditioning",
    required={
        "positive": link("CONDITIONING"),
        "negative": link("CONDITIONING"),
        "vae": link("VAE"),
        "pixels": link("IMAGE"),
        "mask": link("MASK"),
        "noise_mask": BOOLEAN(default=True),
    },
    outputs=("CONDITIONING", "CONDITIONING", "LATENT"),
    output_names=("positive", "negative", "latent"),
)
async def inpaint(
    run: NodeRun,
    positive: Conditioning,
    negative: Conditioning,
    vae: Model,
    pixels: Pictures,
    mask: Pictures,
    noise_mask: bool,
) -> tuple[Conditioning, Conditioning, Latent]:
    note = f"mask {mask.fingerprint()} {noise_mask}"
    return positive.noting(note), negative.noting(note), encoded(pixels)
