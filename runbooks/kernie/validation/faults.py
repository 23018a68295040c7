"""The error objects of a rejected prompt, as ComfyUI 0.33 words them."""

from __future__ import annotations

import traceback
from typing import Any

Fault = dict[str, Any]
MAX_LISTED_CHOICES = 20


def fault(kind: str, message: str, details: str, **extra_info: Any) -> Fault:
    """An error object."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info}


def required_input_missing(name: str) -> Fault:
    """A required input is not there."""
    return fault("required_input_missing", "Required input is missing", name, input_name=name)


def bad_link(name: str, config: list[Any], value: Any) -> Fault:
    """A list that is not [node id, slot]."""
    message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
    return fault("bad_linked_input", message, name, input_name=name, input_config=config, received_value=value)


def type_mismatch(name: str, config: list[Any], received: Any, link: list[Any]) -> Fault:
    """The linked output has another type."""
    wanted = config[0]
    return fault(
        "return_type_mismatch",
        "Return type mismatch between linked nodes",
        f"{name}, received_type({received}) mismatch input_type({wanted})",
        input_name=name,
        input_config=config,
        received_type=received,
        linked_node=link,
    )


def not_convertible(name: str, config: list[Any], value: Any, error: Exception) -> Fault:
    """A value that the type's constructor refuses."""
    return fault(
        "invalid_input_type",
        f"Failed to convert an input value to a {config[0]} value",
        f"{name}, {value}, {error}",
        input_name=name,
        input_config=config,
        received_value=value,
        exception_message=str(error),
    )


def too_small(name: str, config: list[Any], value: Any) -> Fault:
    """A number below its range."""
    message = f"Value {value} smaller than min of {config[1]['min']}"
    return fault("value_smaller_than_min", message, name, input_name=name, input_config=config, received_value=value)


def too_big(name: str, config: list[Any], value: Any) -> Fault:
    """A number above its range."""
    message = f"Value {value} bigger than max of {config[1]['max']}"
    return fault("value_bigger_than_max", message, name, input_name=name, input_config=config, received_value=value)


def not_in_list(name: str, config: list[Any], value: Any) -> Fault:
    """A value that is not among the choices; long lists are counted instead of shown."""
    choices = config[1]["options"] if isinstance(config[0], str) else config[0]
    long = len(choices) > MAX_LISTED_CHOICES
    listed = f"(list of length {len(choices)})" if long else str(choices)
    return fault(
        "value_not_in_list",
        "Value not in list",
        f"{name}: {value!r} not in {listed}",
        input_name=name,
        input_config=None if long else config,
        received_value=value,
    )


def refused_by_node(name: str, reason: str) -> Fault:
    """The node's own check says no."""
    message = "Custom validation failed for node"
    return fault("custom_validation_failed", message, f"{name} - {reason}", input_name=name)


def cycle(node_id: str, nodes: list[str], path: str) -> Fault:
    """The node depends on itself."""
    return fault("dependency_cycle", "Dependency cycle detected", path, node_id=node_id, cycle_nodes=nodes)


def broke(error: Exception) -> Fault:
    """Checking an output node raised an exception."""
    return fault(
        "exception_during_validation",
        "Exception when validating node",
        str(error),
        exception_type=type_name(error),
        traceback=traceback.format_tb(error.__traceback__),
    )


def broke_inside(name: str, config: list[Any], link: list[Any], error: Exception) -> Fault:
    """Checking a node further up raised an exception."""
    return fault(
        "exception_during_inner_validation",
        "Exception when validating inner node",
        str(error),
        input_name=name,
        input_config=config,
        exception_message=str(error),
        exception_type=type_name(error),
        traceback=traceback.format_tb(error.__traceback__),
        linked_node=link,
    )


def type_name(error: BaseException) -> str:
    """The exception's type with its module, unless that is builtins; or what the real server has in its place."""
    kind = type(error)
    if isinstance(name := getattr(kind, "comfyui_name", None), str):
        return name
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
