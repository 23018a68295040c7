"""Node types out of ComfyUI's own convention: the classes in a module's `NODE_CLASS_MAPPINGS`."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runbooks.kernie.errors import KernieError
from runbooks.kernie.nodes.inputs import Choice, Input, World
from runbooks.kernie.nodes.registry import NodeFunction, NodeType, Result

if TYPE_CHECKING:
    from runbooks.kernie.noderun import NodeRun

# They make a node run several times, or take lists; a mock runs each node once.
NOT_SUPPORTED = ("INPUT_IS_LIST", "OUTPUT_IS_LIST")


def types_of(place: str, classes: Mapping[str, type], titles: Mapping[str, str]) -> list[NodeType]:
    """The node types of `NODE_CLASS_MAPPINGS`.

    Args:
        place: the module or file, for messages.
        classes: class by name.
        titles: what a person reads, by name (`NODE_DISPLAY_NAME_MAPPINGS`).

    Raises:
        KernieError: for a class that does not keep to the convention, or wants lists.
    """
    return [_type_of(place, name, cls, titles.get(name, name)) for name, cls in classes.items()]


def _type_of(place: str, name: str, cls: Any, title: str) -> NodeType:
    for flag in NOT_SUPPORTED:
        wish = getattr(cls, flag, False)
        if any(wish) if isinstance(wish, list | tuple) else wish:
            raise KernieError(f"{name} in {place} has {flag}, which kernie-gen does not have.", "Leave that node out.")
    try:
        wanted = cls.INPUT_TYPES()
        return NodeType(
            name,
            _function(cls, dict(wanted.get("hidden", {}))),
            required=_inputs(wanted.get("required", {})),
            optional=_inputs(wanted.get("optional", {})),
            hidden=dict(wanted.get("hidden", {})),
            outputs=tuple(cls.RETURN_TYPES),
            output_names=tuple(getattr(cls, "RETURN_NAMES", ())),
            display_name=title,
            category=getattr(cls, "CATEGORY", "sd"),
            is_output=bool(getattr(cls, "OUTPUT_NODE", False)),
            changed=_changed(cls, wanted) if hasattr(cls, "IS_CHANGED") else None,
            module=cls.__module__,
            deprecated=bool(getattr(cls, "DEPRECATED", False)),
        )
    except Exception as error:
        raise KernieError(
            f"{name} in {place} is no node: {type(error).__name__}: {error}.",
            "A node's class has INPUT_TYPES, RETURN_TYPES and FUNCTION.",
        ) from error


def _inputs(group: Mapping[str, Any]) -> dict[str, Input]:
    return {name: _input(*given) for name, given in group.items()}


def _input(kind: Any, options: dict[str, Any] | None = None) -> Input:
    """`("INT", {"default": 1})`, `(["a", "b"],)`, or `("COMBO", {"options": ["a", "b"]})`."""
    if isinstance(kind, list | tuple):
        return Choice("COMBO", options, values=tuple(kind))
    if kind == "COMBO":
        more = dict(options or {})
        return Choice("COMBO", more, modern=True, values=tuple(more.pop("options", ())))
    return Input(kind, options)


def _function(cls: Any, hidden: dict[str, str]) -> NodeFunction:
    """Calls the class's FUNCTION on an object that lasts as long as consecutive prompts have the node."""
    method = getattr(cls, cls.FUNCTION)

    def prepared(run: NodeRun, inputs: dict[str, Any]) -> dict[str, Any]:
        values = {
            "PROMPT": run.prompt,
            "EXTRA_PNGINFO": run.extra_data.get("extra_pnginfo"),
            "UNIQUE_ID": run.node_id,
        }
        more = {name: values.get(kind) for name, kind in hidden.items()}
        return {"self": run.memory.setdefault("self", cls()), **inputs, **more}

    if inspect.iscoroutinefunction(method):

        async def later(run: NodeRun, **inputs: Any) -> Result:
            return _result(await method(**prepared(run, inputs)))

        return later

    def at_once(run: NodeRun, **inputs: Any) -> Result:
        return _result(method(**prepared(run, inputs)))

    return at_once


def _result(given: Any) -> Result:
    """A tuple of values, or `{"ui": …, "result": …}`."""
    if isinstance(given, dict):
        return Result(tuple(given.get("result", ())), given.get("ui"))
    return Result(tuple(given or ()))


def _changed(cls: Any, wanted: dict[str, Any]) -> Callable[[World, Mapping[str, Any]], Any]:
    """IS_CHANGED: another value than last time makes the node run again. NaN and exceptions do so each time."""
    names = {*wanted.get("required", {}), *wanted.get("optional", {})}

    def changed(world: World, inputs: Mapping[str, Any]) -> Any:  # noqa: ARG001
        given = {name: None if isinstance(value, list) else value for name, value in inputs.items() if name in names}
        try:
            told = cls.IS_CHANGED(**given)
        except Exception:
            return time.monotonic_ns()
        return time.monotonic_ns() if told != told else told

    return changed
