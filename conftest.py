"""Give each page the stack that its front matter asks for (``stack: incident``), and prove each runbook's steps."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from runbooks.pages import Result, Session
from runbooks.pages.hookspecs import PageEnvironment
from runbooks.pages.model import Block, Page

RUNBOOKS = Path(__file__).parent / "docs" / "runbooks"


def pytest_runbooks_environment(page: Page) -> AbstractContextManager[PageEnvironment] | None:
    """Start a lab for a page that asks for one."""
    from tests.support.stacks import stack

    state = page.meta.get("stack")
    return stack(str(state)) if state else None


@pytest.hookimpl(wrapper=True)
def pytest_runbooks_run_step(session: Session, block: Block) -> Generator[None, Result, Result]:
    """Break each step of a runbook before it runs, and its outputs after: if nothing turns red, it proves nothing."""
    if session.page.path is None or session.page.path.parent != RUNBOOKS:
        return (yield)
    from tests.support.proof import after, before

    unproven = before(session, block)
    return after(session, (yield), unproven)


def pytest_itemcollected(item: pytest.Item) -> None:
    """A step that needs the stack is end-to-end: ``-m e2e`` runs it again against other servers."""
    page = getattr(item, "page", None)
    if isinstance(page, Page) and page.meta.get("stack"):
        item.add_marker("e2e")
