"""Coerce a given value to its input's type and check it against range and choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runbooks.kernie.nodes.inputs import Input, InputFile, World
from runbooks.kernie.validation import faults
from runbooks.kernie.validation.faults import Fault

# "64", 64.9 and true pass as INT; bool("false") is true. So does the real server.
COERCIONS: dict[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def check_value(name: str, given: Input, value: Any, world: World) -> tuple[Any, Fault | None]:
    """Return the coerced value, and what is wrong with it."""
    if isinstance(value, dict) and "__value__" in value:
        value = value["__value__"]
    coerce = COERCIONS.get(given.type)
    if coerce is not None:
        try:
            value = coerce(value)
        except Exception as error:
            return value, faults.not_convertible(name, given.config(world), value, error)
    if isinstance(given, InputFile):
        problem = given.problem(value, world)
        return value, faults.refused_by_node(name, problem) if problem else None
    return value, _out_of_bounds(name, given, value, world)


def _out_of_bounds(name: str, given: Input, value: Any, world: World) -> Fault | None:
    if options := given.options:
        if "min" in options and value < options["min"]:
            return faults.too_small(name, given.config(world), value)
        if "max" in options and value > options["max"]:
            return faults.too_big(name, given.config(world), value)
    if not given.accepts(value, world):
        return faults.not_in_list(name, given.config(world), value)
    return None
