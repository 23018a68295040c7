"""The node types that a mock knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from runbooks.kernie.nodes.inputs import Input, World

# A node's function: `def run(run, **inputs) -> tuple | Result`, or the same as a coroutine. Coroutines run on the event
# loop and must not block; plain functions run in a thread of their own, so they may.
NodeFunction = Callable[..., Any]


@dataclass(frozen=True)
class Result:
    """What an output node gives: values for its outputs, and what the user sees."""

    values: tuple[Any, ...] = ()
    ui: dict[str, list[Any]] | None = None


@dataclass(frozen=True)
class Block:
    """An output that stops whatever hangs on it; with a message, clients are told."""

    message: str | None = None


@dataclass(frozen=True)
class NodeType:
    """One kind of node.

    Attributes:
        name: the `class_type` of a prompt.
        run: its function.
        required, optional: inputs by name, in order.
        outputs: types of the outputs.
        output_names: names of the outputs; the types if empty.
        hidden: hidden inputs, as /object_info tells them.
        display_name: what a person reads.
        category: where the menu has it.
        is_output: a prompt needs at least one such node.
        samples: it takes its share of `--delay`, step by step.
        changed: gives a value that makes the node run again when it differs from last time.
        module: where the real node lives.
        deprecated: the real server calls it so.
    """

    name: str
    run: NodeFunction
    required: Mapping[str, Input] = field(default_factory=dict)
    optional: Mapping[str, Input] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    display_name: str = ""
    category: str = ""
    is_output: bool = False
    samples: bool = False
    changed: Callable[[World, Mapping[str, Any]], Any] | None = None
    module: str = "nodes"
    deprecated: bool = False

    @cached_property
    def inputs(self) -> tuple[tuple[str, Input, bool], ...]:
        """Name, input, and whether it is required; in the order in which they are checked."""
        needed = [(name, given, True) for name, given in self.required.items()]
        return (*needed, *((name, given, False) for name, given in self.optional.items()))

    def described(self, world: World) -> dict[str, Any]:
        """The entry of /object_info."""
        groups = {"required": self.required, "optional": self.optional}
        shown: dict[str, Any] = {
            group: {name: each.described(world) for name, each in inputs.items()}
            for group, inputs in groups.items()
            if inputs or group == "required"
        }
        if self.hidden:
            shown["hidden"] = dict(self.hidden)
        about = {
            "input": shown,
            "input_order": {group: list(inputs) for group, inputs in shown.items()},
            "is_input_list": False,
            "output": list(self.outputs),
            "output_is_list": [False] * len(self.outputs),
            "output_name": list(self.output_names or self.outputs),
            "name": self.name,
            "display_name": self.display_name or self.name,
            "description": "",
            "python_module": self.module,
            "category": self.category,
            "output_node": self.is_output,
            "has_intermediate_output": False,
        }
        return {**about, "deprecated": True} if self.deprecated else about


class Registry(dict[str, NodeType]):
    """Node types by name."""

    def __init__(self, types: Sequence[NodeType] = ()) -> None:
        super().__init__()
        self.add(types)

    def add(self, types: Sequence[NodeType]) -> None:
        """Add types; a later one replaces an earlier one of the same name."""
        self.update({each.name: each for each in types})


class Nodes(list[NodeType]):
    """A family of node types; its `node` decorator adds one.

    ```python
    from runbooks.kernie.nodes.inputs import STRING
    from runbooks.kernie.nodes.registry import Nodes

    NODES = Nodes()


    @NODES.node("Shout", required={"text": STRING(default="")}, outputs=("STRING",))
    async def shout(run, text):
        return (text.upper(),)


    print(NODES[0].name, NODES[0].outputs)
    ```

    ```output
    Shout ('STRING',)
    ```
    """

    def node(self, name: str, **about: Any) -> Callable[[NodeFunction], NodeFunction]:
        """Decorate the function of a node; keyword arguments are the attributes of `NodeType`."""

        def keep(run: NodeFunction) -> NodeFunction:
            self.append(NodeType(name, run, **about))
            return run

        return keep
