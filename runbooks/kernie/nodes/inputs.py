"""What a node's input takes: a type, a range, a list of choices, a model's name, a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runbooks.kernie.files import Folders
    from runbooks.kernie.models import ModelCatalogue

MAX_RESOLUTION = 16384
MAX_SEED = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True)
class World:
    """What lists of choices depend on."""

    models: ModelCatalogue
    folders: Folders


@dataclass(frozen=True)
class Input:
    """An input of a node.

    Attributes:
        type: `INT`, `FLOAT`, `STRING`, `BOOLEAN`, `COMBO`, or the type of a link such as `IMAGE`.
        options: default, min, max, step and so on; None where the real server tells none.
        modern: told in the newer form: choices among the options, and always an options object.
    """

    type: str
    options: dict[str, Any] | None = None
    modern: bool = False

    def choices(self, world: World) -> Sequence[Any] | None:  # noqa: ARG002
        """The values that may be chosen, or None if the type has none."""
        return None

    def accepts(self, value: Any, world: World) -> bool:  # noqa: ARG002
        """True if `value` is among the choices."""
        return True

    def config(self, world: World) -> list[Any]:
        """The pair that error messages show: type (or choices) and options."""
        choices = self.choices(world)
        if choices is None:
            return [self.type, self.options or {}]
        if self.modern:
            return [self.type, {"multiselect": False, "options": list(choices), **(self.options or {})}]
        return [list(choices), self.options or {}]

    def described(self, world: World) -> list[Any]:
        """The list that /object_info shows."""
        config = self.config(world)
        return config[:1] if self.options is None and not self.modern else config


@dataclass(frozen=True)
class Choice(Input):
    """One of a fixed list."""

    values: tuple[Any, ...] = ()

    def choices(self, world: World) -> Sequence[Any]:  # noqa: ARG002
        """The fixed list."""
        return self.values

    def accepts(self, value: Any, world: World) -> bool:  # noqa: ARG002
        """True if the list has it."""
        return value in self.values


@dataclass(frozen=True)
class ModelName(Input):
    """The name of a file in one of the model folders, or a name that needs no file."""

    folder: str = ""
    built_in: tuple[str, ...] = ()

    def choices(self, world: World) -> Sequence[Any]:
        """Names of the folder, then those that need no file."""
        return [*world.models.names(self.folder), *self.built_in]

    def accepts(self, value: Any, world: World) -> bool:
        """True if the catalogue has the name, or the folder takes any."""
        return value in self.built_in or world.models.accepts(self.folder, value)


@dataclass(frozen=True)
class InputFile(Input):
    """The name of a picture in the input folder, with or without an annotation such as ` [output]`."""

    def choices(self, world: World) -> Sequence[Any]:
        """The pictures lying in the input folder."""
        return world.folders.input_images()

    def problem(self, value: Any, world: World) -> str | None:
        """What is wrong with `value`, in the real server's words, or None."""
        if isinstance(value, str) and world.folders.find_input(value) is not None:
            return None
        return f"Invalid image file: {value}"


def INT(  # noqa: N802
    default: int, low: int | None = None, high: int | None = None, step: int | None = None, **more: Any
) -> Input:
    """A whole number; named as the type is."""
    return Input("INT", _numbers(default, low, high, step, more))


def FLOAT(default: float, low: float, high: float, step: float, **more: Any) -> Input:  # noqa: N802
    """A number."""
    return Input("FLOAT", _numbers(default, low, high, step, more))


def _numbers(default: Any, low: Any, high: Any, step: Any, more: dict[str, Any]) -> dict[str, Any]:
    options = {"default": default, "min": low, "max": high, "step": step}
    return {key: value for key, value in options.items() if value is not None} | more


def STRING(**options: Any) -> Input:  # noqa: N802
    """A text."""
    return Input("STRING", options)


def BOOLEAN(**options: Any) -> Input:  # noqa: N802
    """True or false."""
    return Input("BOOLEAN", options)


def choice(*values: Any, described: bool = False, **options: Any) -> Choice:
    """One of `values`; keyword arguments become options."""
    return Choice("COMBO", options if options or described else None, values=tuple(values))


def model(folder: str, *built_in: str, described: bool = False) -> ModelName:
    """The name of a model in `folder`; `built_in` are names that exist without a file."""
    return ModelName("COMBO", {} if described else None, folder=folder, built_in=built_in)


def link(type_: str, *, described: bool = False) -> Input:
    """The output of another node. `described`: the real one carries a tooltip, so it shows an options object."""
    return Input(type_, {} if described else None)


def modern(inputs: dict[str, Input]) -> dict[str, Input]:
    """The same inputs, told in the newer form."""
    return {name: replace(given, modern=True) for name, given in inputs.items()}


def side(default: int = 512, low: int = 16, step: int = 8) -> Input:
    """A width or height in pixels."""
    return INT(default, low, MAX_RESOLUTION, step)


def seed() -> Input:
    """A seed of 64 bits."""
    return INT(0, 0, MAX_SEED, control_after_generate=True)
