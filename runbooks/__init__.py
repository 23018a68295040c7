"""Genonaut Runbooks: runbooks whose every step is proven.

What a page's steps call is imported from here. The names are loaded when they are first used, so that
``import runbooks`` costs nothing and needs no extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runbooks.errors import UserError as UserError
    from runbooks.target import Job as Job
    from runbooks.target import Target as Target
    from runbooks.workers import find_workers as find_workers
    from runbooks.workers import restart_worker as restart_worker

__version__ = "0.1.0"

_HOMES = {
    "Job": "runbooks.target",
    "Target": "runbooks.target",
    "UserError": "runbooks.errors",
    "find_workers": "runbooks.workers",
    "restart_worker": "runbooks.workers",
}

__all__ = ["Job", "Target", "UserError", "__version__", "find_workers", "restart_worker"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
