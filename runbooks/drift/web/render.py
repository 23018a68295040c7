"""The pages' templates, and the headers that keep a page from being anything else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from runbooks.drift.web.sitelink import site_link, site_url

STATIC = Path(__file__).parent / "static"
HEADERS = {
    # Nothing from elsewhere, no script and no style inside the page, no frame around it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": a browser would then send this page's own form with the origin "null".
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
TITLES = {
    "adopt-health.md": "Health of your own application",
    "runbooks/is-the-mock-up.md": "Is the mock up?",
    "runbooks/job-stuck-in-running.md": "A job is stuck in running",
    "runbooks/mock-is-slow-or-hangs.md": "The mock is slow or hangs",
    "runbooks/redis-is-down.md": "Redis is down or was restarted",
    "runbooks/restart-the-worker.md": "Restart the worker after a config change",
    "runbooks/switch-comfyui-and-mock.md": "Switch between ComfyUI and the mock",
    "runbooks/which-url-does-each-process-use.md": "Which URL does each process use?",
    "runbooks/verify-a-generation.md": "Verify a generation end to end",
}
"""Titles of pages that are linked to, where they are not the words of the path. The pages themselves are elsewhere."""


class Templates:
    """The templates of one application's pages."""

    def __init__(self, *packages: str, **known: Any) -> None:
        """Nothing is read yet.

        Args:
            packages: where an application has templates of its own. One of a name that is here, too, takes its place.
            known: what every template knows: ``name`` of the application; ``static``, where the folder of that name is
                served; ``at``, where the status page is; ``needs_worker``, whether it is a problem that none
                reports; ``held``, what two processes hold alike that hold the same.
        """
        loaders = [PackageLoader(package) for package in (*packages, "runbooks.drift.web")]
        self._environment = environment = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(clock=clock, ago=ago, code=code, title=title, capital=capital)
        environment.globals.update(known, site_link=site_link, site_url=site_url)
        environment.globals["holds_the_same"] = partial(_holds_the_same, known["held"])

    def render(self, template: str, **values: Any) -> str:
        """A template's text. Every value in it is text, whatever markup it holds."""
        return self._environment.get_template(template).render(**values)


def _holds_the_same(held: Sequence[str], one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two processes hold the same, and hold anything."""
    return bool(one[held[0]]) and all(one[key] == other[key] for key in held)


def html(text: str, status: int = 200, **headers: str) -> Response:
    """A page of this moment."""
    return Response(text, status, media_type="text/html", headers={**HEADERS, **headers})


def clock(moment: str | None) -> str:
    """A time as one reads it: ``12:03:04 UTC``, with the day in front when it is another one than today.

    >>> clock("2001-02-03T12:03:04.000+00:00")
    '2001-02-03 12:03:04 UTC'
    """
    if moment is None:
        return ""
    time = datetime.fromisoformat(moment)
    day = "" if time.date() == datetime.now(time.tzinfo).date() else f"{time:%Y-%m-%d} "
    return f"{day}{time:%H:%M:%S} UTC"


def ago(seconds: float) -> str:
    """How long ago something was, as the page's script says it, too.

    >>> ago(2.4), ago(200), ago(7300), ago(200_000)
    ('2 s ago', '3 min ago', '2 h ago', '2 days ago')
    """
    for unit, size, most in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < most:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds // 86_400:.0f} days ago"


def code(text: str) -> Markup:
    """Text with what stands between backticks as code."""
    parts = re.split(r"`([^`]*)`", text)
    shown = (Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts))
    return Markup("").join(shown)


def title(page: str) -> str:
    """The title of a page by its path."""
    path = page.partition("#")[0]
    return TITLES.get(path) or capital(path.rpartition("/")[2].removesuffix(".md").replace("-", " "))


def capital(text: str) -> str:
    """Text with its first letter as a capital one."""
    return text[:1].upper() + text[1:]
