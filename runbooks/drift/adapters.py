"""Settings of any kind as a list of keys, values and origins: pydantic-settings, dataclasses, plain classes, dicts."""

from __future__ import annotations

import dataclasses
import inspect
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from runbooks.drift.origins import Origins
from runbooks.drift.showing import text_of
from runbooks.errors import UserError

MOST = 300
"""Settings of one process that are reported."""


NOT_IN_FORCE, NEEDS_RESTART, HIDDEN = (
    "the last edit is not in force",
    "needs a restart",
    "is hidden by the exported variable",
)
"""How a process says what of its files it does not obey."""


@dataclasses.dataclass(frozen=True)
class Held:
    """One setting as a process holds it, not yet fit to be shown.

    Attributes:
        key: its name; parts of nested settings are joined with dots.
        value: as text.
        origin: where it came from; None when that is not known.
        public: whether everybody may know it: a declared default, or one of a closed set.
        secret: whether it is declared as one (``SecretStr``).
    """

    key: str
    value: str = dataclasses.field(repr=False)
    origin: str | None = None
    public: bool = False
    secret: bool = False


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All settings of a process at one moment.

    Attributes:
        held: the settings.
        since: since when the process holds them; None when only looking at them can tell.
        problem: why they are not what they should be; quotes no value.
    """

    held: tuple[Held, ...]
    since: datetime | None = None
    problem: str | None = None


_CONTAINERS = (Mapping, list, tuple, set, frozenset)

Source: TypeAlias = Callable[[], Any] | object
"""What settings are read from: the settings themselves, or the function that the application gets them with."""


def check_source(source: Source) -> None:
    """Refuse what would say what the files say now, and not what the process holds.

    Raises:
        UserError: it is the class of pydantic settings.
    """
    if isinstance(source, type) and issubclass(source, BaseModel):
        raise UserError(
            f"{source.__name__} is a class, and each call of it reads the settings anew.",
            "Give report_settings the function that the application gets its settings with, or the settings.",
        )


def look(source: Source) -> Snapshot | None:
    """What the process holds now; None when it has not read its settings yet.

    A cached getter (``functools.lru_cache``) that nobody has called is not called here either: it would freeze the
    values earlier than the application does, and looking must change nothing.

    Args:
        source: a getter, or the settings: a pydantic model, a dataclass, a plain class or object, a mapping. A getter
            may also return a ``Snapshot``, or None as long as it has read nothing.
    """
    settings = source
    if callable(source) and not isinstance(source, type):
        cache_info = getattr(source, "cache_info", None)
        if cache_info is not None and cache_info().currsize == 0:
            return None
        settings = source()
    if settings is None or isinstance(settings, Snapshot):
        return settings
    return Snapshot(tuple(sorted(_held(settings), key=lambda held: held.key))[:MOST])


def _held(settings: Any) -> Iterator[Held]:
    if isinstance(settings, BaseModel):
        origins = Origins(settings)
        for name, field in type(settings).model_fields.items():
            yield from _field(settings, name, field, origins)
    elif isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from _flat(str(key), value, _from_environment(str(key), value))
    else:
        for name, value in _attributes(settings):
            yield from _flat(name, value, _from_environment(name, value))


def _field(settings: BaseModel, name: str, field: FieldInfo, origins: Origins) -> Iterator[Held]:
    value = getattr(settings, name)
    if name not in settings.model_fields_set:
        yield from _flat(name, value, "default", public=field.default is not PydanticUndefined)
        return
    public = _is_closed(field.annotation) or (field.default is not PydanticUndefined and value == field.default)
    for held in _flat(name, value, origins.of(name, field), public=public):
        part = held.key[len(name) + 1 :]
        own = origins.of_part(name, field, part) if part else None
        if part and isinstance(value, BaseModel) and part.partition(".")[0] not in value.model_fields_set:
            own = "default"
        yield dataclasses.replace(held, origin=own) if own else held


def _from_environment(key: str, value: Any) -> str | None:
    """For plain settings: the variable of that name, when it has that very value."""
    name = key.replace("-", "_").upper()
    return f"environment variable {name}" if os.environ.get(name) == text_of(value) else None


def _attributes(settings: Any) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(settings):
        names = [field.name for field in dataclasses.fields(settings)]
    else:
        names = [name for name in dir(settings) if not name.startswith("_")]
    owner = settings if isinstance(settings, type) else type(settings)
    for name in names:
        # A property may do anything; it is no place where a value is kept.
        if isinstance(inspect.getattr_static(owner, name, None), property):
            continue
        value = getattr(settings, name, None)
        if not callable(value):
            yield name, value


def _flat(key: str, value: Any, origin: str | None, *, public: bool = False) -> Iterator[Held]:
    """A value, or the values inside it, so that each is judged by its own name."""
    if hasattr(value, "get_secret_value"):
        yield Held(key, text_of(value.get_secret_value()), origin, secret=True)
    elif isinstance(value, Enum):
        yield Held(key, text_of(value.value), origin, public=True)
    elif parts := _parts(value):
        for name, part in parts.items():
            yield from _flat(f"{key}.{name}", part, origin, public=public)
    else:
        yield Held(key, "" if isinstance(value, _CONTAINERS) else text_of(value), origin, public=public)


def _parts(value: Any) -> dict[str, Any]:
    """What a value is made of, by name or number; nothing for a plain one."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=repr)
    if isinstance(value, list | tuple):
        return {str(number): part for number, part in enumerate(value)}
    return {}


def _is_closed(annotation: Any) -> bool:
    """Whether a type has few values, all of which stand in the code."""
    if typing.get_origin(annotation) is Literal:
        return True
    if typing.get_args(annotation) and typing.get_origin(annotation) is not typing.Annotated:
        return all(part is type(None) or _is_closed(part) for part in typing.get_args(annotation))
    return isinstance(annotation, type) and (issubclass(annotation, Enum) or annotation is bool)
