"""Nodes that give one plain value."""

# A node takes all of its inputs by name, used or not, and its decorator says what it is.
# ruff: noqa: ARG001
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from runbooks.kernie.nodes.inputs import BOOLEAN, FLOAT, INT, STRING, Input, modern
from runbooks.kernie.nodes.registry import Nodes

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

NODES = Nodes()


async def give(run: NodeRun, value: Any) -> tuple[Any]:
    """The value itself."""
    return (value,)


def _primitive(name: str, display_name: str, value: Input) -> None:
    NODES.node(
        name,
        display_name=display_name,
        category="utilities/primitive",
        module="comfy_extras.nodes_primitive",
        required=modern({"value": value}),
        outputs=(value.type,),
    )(give)


_primitive("PrimitiveString", "String", STRING(multiline=False))
_primitive("PrimitiveStringMultiline", "String (Multiline)", STRING(multiline=True))
_primitive("PrimitiveInt", "Int", INT(0, -sys.maxsize, sys.maxsize, control_after_generate=True))
_primitive("PrimitiveFloat", "Float", FLOAT(0.0, -sys.float_info.max, sys.float_info.max, 0.01))
_primitive("PrimitiveBoolean", "Boolean", BOOLEAN())
