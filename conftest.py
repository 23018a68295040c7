"""Give every page the stack that its front matter asks for: ``stack: healthy``, ``incident`` or ``comfyui``."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from runbooks.pages.hookspecs import PageEnvironment
from runbooks.pages.model import Page


def pytest_runbooks_environment(page: Page) -> AbstractContextManager[PageEnvironment] | None:
    """Start a lab for a page that asks for one."""
    from tests.support.stacks import stack

    state = page.meta.get("stack")
    return stack(str(state)) if state else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """A step that needs the stack is end-to-end: ``-m e2e`` runs it again against other servers."""
    page = getattr(item, "page", None)
    if isinstance(page, Page) and page.meta.get("stack"):
        item.add_marker("e2e")
