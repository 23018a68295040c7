"""Nodes that say what a picture is to show."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001, D103
from __future__ import annotations

from typing import Any

from runbooks.kernie.nodes.inputs import STRING, link
from runbooks.kernie.nodes.registry import Nodes
from runbooks.kernie.nodes.values import Conditioning, Model

NODES = Nodes()


@NODES.node(
    "CLIPTextEncode",
    display_name="CLIP Text Encode (Prompt)",
    category="model/conditioning",
    required={"text": STRING(multiline=True, dynamicPrompts=True), "clip": link("CLIP", described=True)},
    outputs=("CONDITIONING",),
)
async def encode_text(run: Any, text: str, clip: Model) -> tuple[Conditioning]:
    notes = () if not clip.loras else (repr(clip.loras),)
    return (Conditioning((text,), notes),)
