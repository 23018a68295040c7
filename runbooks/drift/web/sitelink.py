"""Where the pages of this site are served."""

from __future__ import annotations

import os

SITE_URL = "RUNBOOKS_SITE_URL"
"""Environment variable that says where."""
DEFAULT = "http://127.0.0.1:8010/"
"""Where ``make up`` serves them."""


def site_url() -> str:
    """Where the site is served, with its last slash. Only http and https count: it becomes a link."""
    url = os.environ.get(SITE_URL, "")
    return f"{url.rstrip('/')}/" if url.startswith(("http://", "https://")) else DEFAULT


def site_link(page: str) -> str:
    """The URL of a page.

    Args:
        page: its path below ``docs/``, such as ``runbooks/restart-the-worker.md#steps``.
    """
    path, sign, anchor = page.partition("#")
    path = path.removesuffix(".md")
    folder = path.removesuffix("index") if path.split("/")[-1] == "index" else f"{path}/"
    return f"{site_url()}{folder}{sign}{anchor}"
