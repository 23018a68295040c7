"""Nodes that change how a model samples. They make another picture, no more."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbooks.kernie.nodes.inputs import BOOLEAN, FLOAT, Input, choice, link, side
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.values import Model

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()


def _shift(default: float, **more: Any) -> Input:
    return FLOAT(default, 0.0, 100.0, 0.01, **more)


async def patch(run: NodeRun, model: Model, **how: Any) -> tuple[Model]:
    return (model.with_lora(repr(how), 1.0),)


def _sampling_node(name: str, category: str, optional: dict[str, Input], **required: Input) -> None:
    """A node that takes a model and numbers, and gives the model."""
    NODES.node(
        name,
        category=category,
        module="comfy_extras.nodes_model_advanced",
        required={"model": link("MODEL"), **required},
        optional=optional,
        outputs=("MODEL",),
    )(patch)


_sampling_node("ModelSamplingSD3", "model/patch/stable diffusion", {}, shift=_shift(3.0))
_sampling_node(
    "ModelSamplingAuraFlow",
    "model/patch",
    {"sampling": choice("flow", "img_to_img_velocity", default="flow", advanced=True)},
    shift=_shift(1.73),
)
_sampling_node(
    "ModelSamplingFlux",
    "model/patch/flux",
    {},
    max_shift=_shift(1.15, advanced=True),
    base_shift=_shift(0.5, advanced=True),
    width=side(1024),
    height=side(1024),
)
_sampling_node(
    "ModelSamplingDiscrete",
    "model/patch",
    {},
    sampling=choice("eps", "v_prediction", "lcm", "x0", "img_to_img", "img_to_img_flow"),
    zsnr=BOOLEAN(default=False, advanced=True),
)
