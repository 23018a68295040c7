"""Keep the steps of a page on one worker of pytest-xdist; all other tests are spread one by one."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_MARKDOWN = (".md", ".mdx", ".svx")


class PageScheduling:
    """Sets the scheduler where the user has not chosen one: ``-n 2`` means ``--dist load``."""

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> PageScheduler | None:
        """Return a scheduler in place of the default one."""
        return PageScheduler(config, log) if config.getvalue("dist") == "load" else None


class PageScheduler(LoadScopeScheduling):  # type: ignore[misc]
    """Gives out the steps of a page, and the examples of a docstring, as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, name = nodeid.partition("::")
        if path.endswith(_MARKDOWN):
            return path
        page, docstring, _ = name.partition("__doc__[")
        return f"{path}::{page}{docstring}" if docstring else nodeid
