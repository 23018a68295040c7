"""The hook with which a project gives its pages their surroundings under pytest."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest

from runbooks.pages.surroundings import PageEnvironment

if TYPE_CHECKING:
    from runbooks.pages.model import Block, Page
    from runbooks.pages.results import Result
    from runbooks.pages.session import Session

__all__ = ["PageEnvironment", "pytest_runbooks_environment", "pytest_runbooks_run_step"]


@pytest.hookspec(firstresult=True)
def pytest_runbooks_environment(page: Page, config: pytest.Config) -> AbstractContextManager[PageEnvironment] | None:
    """Return what a page's steps run in, or None for a page that needs nothing.

    The context is entered before the page's first step runs and left after its last one, also when a step fails,
    with ``-x`` and on Ctrl-C. It is not entered for a page none of whose steps is selected. Docstrings are pages
    too: ``page.docstring`` is not None and ``page.meta`` is empty.

    A root ``conftest.py`` that starts a server for the pages that say ``needs: server`` in their front matter:

    ```{.python data-exempt="a conftest.py of your own"}
    from contextlib import contextmanager

    from runbooks.pages import PageEnvironment

    @contextmanager
    def server_environment():
        with start_server() as url:
            yield PageEnvironment({"API_URL": url})

    def pytest_runbooks_environment(page, config):
        return server_environment() if page.meta.get("needs") == "server" else None
    ```
    """


@pytest.hookspec(firstresult=True)
def pytest_runbooks_run_step(session: Session, block: Block) -> Result | None:
    """Run one step of a page's session and return what became of it.

    The plugin's own implementation is the last; a wrapper sees each step before and after it ran, in its place of the
    session, and may return another result.
    """
