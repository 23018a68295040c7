"""Pages written in tests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from runbooks.pages import Page, Result, Session, parse_page


def make_page(text: str, *, root: Path | None = None) -> Page:
    """Read a page from text that is indented as the test is; it must be free of problems."""
    page = parse_page(dedent(text).lstrip("\n"), name="page.md", root=root)
    assert page.problems == ()
    return page


def problems_of(text: str, *, root: Path | None = None) -> list[tuple[int, str]]:
    """Return a page's problems as (line, message)."""
    page = parse_page(dedent(text).lstrip("\n"), name="page.md", root=root)
    return [(problem.line, problem.message) for problem in page.problems]


def run_all(page: Page, **options: object) -> list[Result]:
    """Run all steps of a page in one session, also after a failure."""
    with Session(page, **options) as session:  # type: ignore[arg-type]
        return [session.run(step) for step in page.steps]


def run_text(text: str, **options: object) -> list[Result]:
    """Run a page written in the test."""
    return run_all(make_page(text), **options)


# pytest 8 says so of a plugin that the outer run has imported before the inner one begins.
_ALREADY = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"


class Pages:
    """A project with pages, in which pytest runs with warnings as errors and no other plugin than those named."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.root = pytester.path
        self.plugins = ["-p", "pytest_markdown_docs.plugin", "-p", "runbooks.pages.pytest_plugin"]
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        # With these pytest repeats whole messages in its summary.
        monkeypatch.delenv("CI", raising=False)
        monkeypatch.delenv("BUILD_NUMBER", raising=False)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), "utf-8")

    def run(self, *args: str) -> pytest.RunResult:
        options = ["--markdown-docs", "-W", "error", "-W", _ALREADY, "--strict-markers", "-p", "no:cacheprovider"]
        return self.pytester.runpytest_inprocess(*self.plugins, *options, *args, no_reraise_ctrlc=True)
