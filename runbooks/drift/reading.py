"""Read an application's settings anew, and say why that fails without quoting a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from runbooks.drift.adapters import Held, Snapshot, Source, look
from runbooks.errors import UserError

# Of these the words are pydantic's own. Others may repeat what was read, or are the application's.
_SAYS_NO_VALUE = frozenset(
    {
        *("missing", "extra_forbidden", "literal_error", "enum", "string_type", "string_too_short", "string_too_long"),
        *("int_parsing", "int_from_float", "int_type", "float_parsing", "float_type", "bool_parsing", "bool_type"),
        *("decimal_parsing", "greater_than", "greater_than_equal", "less_than", "less_than_equal", "url_scheme"),
    }
)


def read_anew(now: Callable[[], Any]) -> tuple[Held, ...]:
    """What ``now`` reads.

    Raises:
        UserError: it fails.
    """
    try:
        snapshot = look(now())
    except Exception as error:  # the application's own, and broken files are its affair
        # Its text may quote a value.
        what = f"reading the settings anew fails ({type(error).__name__})."
        raise UserError(what, "Correct the last edit.") from error
    return snapshot.held if snapshot else ()


def uncached(source: Source) -> Callable[[], Any] | None:
    """What a cached getter calls when it reads the settings; None for what keeps nothing, or does not tell."""
    inner = getattr(source, "__wrapped__", None)
    return inner if callable(inner) and callable(getattr(source, "cache_clear", None)) else None


def first_held(source: Source, now: Callable[[], Any] | None = None) -> Snapshot | None:
    """What this process holds, or will as soon as it reads its settings. Nothing is cached by that.

    Args:
        source: as for ``look``.
        now: reads the settings anew.

    Returns:
        None when that cannot be told.

    Raises:
        Exception: whatever reading them raises.
    """
    held = look(source)
    anew = now or uncached(source)
    return look(anew()) if held is None and anew is not None else held


def why_unreadable(error: Exception) -> list[str]:
    """Why settings cannot be read: for each reason a sentence without its full stop, with the key and without a value.

    >>> why_unreadable(ValueError("hunter2"))
    ['The settings cannot be read (ValueError)']
    """
    if not isinstance(error, ValidationError):
        return [f"The settings cannot be read ({type(error).__name__})"]
    found = []
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        key = ".".join(map(str, each["loc"])) or error.title
        says = each["msg"] if each["type"] in _SAYS_NO_VALUE else f"is not valid ({each['type']})"
        found.append(f"{key} cannot be read: {says[:1].lower()}{says[1:]}")
    return found
