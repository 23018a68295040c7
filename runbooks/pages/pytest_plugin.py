"""``pytest --markdown-docs``: the steps of Markdown pages and docstrings as tests.

pytest loads this file at every start, so it only adds the option and the hook; the rest is imported with the option.
With pytest-markdown-docs installed, the option is that plugin's, and its own items are replaced by ours.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from runbooks.pages import hookspecs


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the hook known, so that a conftest may implement it whether or not pages are run."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add ``--markdown-docs`` unless pytest-markdown-docs does, and where stamps of proven pages are written."""
    parser.addini(
        "runbooks_stamps", "file that says when each page was proven last; none: it is not written", default=""
    )
    parser.addini("runbooks_stamps_code", "files and folders on whose change a page counts as unproven", type="args")
    if not _other_plugin_is_used(pluginmanager):
        parser.getgroup("collect").addoption(
            "--markdown-docs",
            action="store_true",
            default=False,
            dest="markdowndocs",
            help="run the steps of Markdown pages and the examples in docstrings",
        )


def pytest_configure(config: pytest.Config) -> None:
    """With the option: register what collects, runs and counts."""
    if config.getoption("markdowndocs", False):
        from runbooks.pages.pytest_collect import MARKER, PageCollection
        from runbooks.pages.pytest_report import PageCounts

        config.addinivalue_line("markers", f"{MARKER}: a step of a page, or an example in a docstring")
        counts = PageCounts(config)
        config.pluginmanager.register(counts, "runbooks_pages_counts")
        config.pluginmanager.register(PageCollection(config, counts), "runbooks_pages_collection")
        if config.getini("runbooks_stamps") and not hasattr(config, "workerinput"):
            from runbooks.pages.pytest_stamps import PageStamps

            config.pluginmanager.register(PageStamps(config, counts), "runbooks_pages_stamps")
        if config.getoption("dist", "no") != "no":
            from runbooks.pages.pytest_xdist import PageScheduling

            config.pluginmanager.register(PageScheduling(), "runbooks_pages_scheduling")


def _other_plugin_is_used(pluginmanager: pytest.PytestPluginManager) -> bool:
    """Say whether pytest-markdown-docs is loaded or going to be: the order of plugins is not known."""
    if any(
        getattr(plugin, "__name__", "").startswith("pytest_markdown_docs") for plugin in pluginmanager.get_plugins()
    ):
        return True
    blocked = pluginmanager.is_blocked("pytest_markdown_docs") or pluginmanager.is_blocked(
        "pytest_markdown_docs.plugin"
    )
    autoload = not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    return autoload and not blocked and find_spec("pytest_markdown_docs") is not None
