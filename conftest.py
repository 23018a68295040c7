"""Give each page the stack that its front matter asks for (``stack: incident``), and prove each runbook's steps."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import AbstractContextManager
from functools import cache
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


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Set the scheduler of this project where the user has not chosen one."""
    if config.getvalue("dist") != "load":
        return None
    from tests.support.scheduling import Scheduler

    return Scheduler(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the steps of pages: what needs the stack is end-to-end, what needs a command that is not here is skipped."""
    page = getattr(item, "page", None)
    if not isinstance(page, Page):
        return
    if page.meta.get("stack"):
        # ``-m e2e`` runs it again against other servers.
        item.add_marker("e2e")
    from tests.support.commands import missing

    # In CI the step fails by itself.
    if (why := missing(_commands_of(page))) and not os.environ.get("CI"):
        item.add_marker(pytest.mark.skip(reason=why))


@cache
def _commands_of(page: Page) -> frozenset[str]:
    from tests.support.commands import called_in

    return frozenset().union(*(called_in(block.code) for block in page.steps if block.runner != "python"))
