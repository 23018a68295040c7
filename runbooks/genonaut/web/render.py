"""The templates of the miniature's own pages."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from runbooks.drift.web.render import Templates

STATIC = Path(__file__).parent / "static"


def render(template: str, **values: Any) -> str:
    """A template's text. Every value in it is text, whatever markup it holds."""
    return templates().render(template, **values)


@cache
def templates() -> Templates:
    """The general templates, with what this application says otherwise."""
    return Templates(
        "runbooks.genonaut.web",
        name="Genonaut in miniature",
        static="/static",
        at="/status",
        needs_worker=True,
        held=("comfyui_url", "comfyui_output_dir", "stale"),
    )
