"""Nodes that change how a model samples. They make another picture, no more."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbooks.kernie.nodes.inputs import FLOAT, link, side
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.values import Model

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()
MODULE = "comfy_extras.nodes_model_advanced"
CATEGORY = "model/patch"


def _shift(default: float) -> Any:
    return FLOAT(default, 0.0, 100.0, 0.01)


async def patch(run: NodeRun, model: Model, **how: float) -> tuple[Model]:
    return (model.with_lora(repr(how), 1.0),)


for _name in ("ModelSamplingSD3", "ModelSamplingAuraFlow"):
    NODES.node(
        _name,
        category=CATEGORY,
        module=MODULE,
        required={"model": link("MODEL"), "shift": _shift(3.0 if _name == "ModelSamplingSD3" else 1.73)},
        outputs=("MODEL",),
    )(patch)

NODES.node(
    "ModelSamplingFlux",
    category=CATEGORY,
    module=MODULE,
    required={
        "model": link("MODEL"),
        "max_shift": _shift(1.15),
        "base_shift": _shift(0.5),
        "width": side(1024),
        "height": side(1024),
    },
    outputs=("MODEL",),
)(patch)
