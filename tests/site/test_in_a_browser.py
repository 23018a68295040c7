"""How the pages behave in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Route
from pygments import formatters, highlight, lexers  # type: ignore[import-untyped]

from tests.site.built import read_document
from tests.support.browser import all_faults, open_page

DOCS = Path(__file__).resolve().parents[2] / "docs"


def page_paths() -> list[str]:
    """The path of every page as the site serves it, and of the page for a path that does not exist."""
    sources = [
        path.relative_to(DOCS) for path in sorted(DOCS.rglob("*.md")) if not str(path.relative_to(DOCS)).startswith("_")
    ]
    served = [path.parent if path.stem == "index" else path.with_suffix("") for path in sources]
    return ["/" if str(path) == "." else f"/{path}/" for path in served] + ["/404.html"]


@pytest.mark.parametrize("path", page_paths())
def test_a_page_has_no_accessibility_fault_in_either_scheme_on_desktop_or_phone(
    context: BrowserContext, site_url: str, axe: str, path: str
) -> None:
    page, foreign = open_page(context, site_url, path)
    assert "\n".join(all_faults(page, axe)) == ""
    assert foreign == []


def test_a_visit_fetches_what_the_page_names_and_the_search_index_only_when_somebody_searches(
    context: BrowserContext, site: Path, site_url: str
) -> None:
    fetched: list[str] = []
    context.on("request", lambda request: fetched.append(request.url.removeprefix(site_url)))
    page = context.new_page()
    page.goto(f"{site_url}/", wait_until="networkidle")
    named = {f"/{url.removeprefix('./')}" for url in read_document(site / "index.html").loads}
    assert set(fetched) == named | {"/"}
    page.keyboard.press("/")
    page.keyboard.type("worker")
    page.wait_for_selector(".md-search-result__item")
    rest = set(fetched) - named - {"/"}
    assert {url.rpartition("/")[2].partition(".")[0] for url in rest} == {"search_index", "search"}


def test_copying_a_console_block_copies_the_commands_alone(context: BrowserContext, site_url: str) -> None:
    session = "$ make up\nkernie-gen  http://localhost:8189\nAPI         http://127.0.0.1:8001\n$ make down\nstopped\n"
    coloured = highlight(session, lexers.BashSessionLexer(), formatters.HtmlFormatter(nowrap=True))

    def with_session(route: Route) -> None:
        response = route.fetch()
        parts = re.split(r"(?<=<pre><span></span><code>)(.*?)(?=</code>)", response.text(), maxsplit=1, flags=re.DOTALL)
        before, code, after = parts
        assert "make" in code
        route.fulfill(response=response, body=before + coloured + after)

    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.route(f"{site_url}/", with_session)
    page.goto(f"{site_url}/")
    assert "kernie-gen  http://localhost:8189" in page.inner_text("pre > code")
    page.click("pre .md-clipboard, pre .md-code__button")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "make up\nmake down"


def test_what_you_should_see_is_labelled_and_offers_no_copy_button(context: BrowserContext, site_url: str) -> None:
    page, _ = open_page(context, site_url, "/pitfalls/lru-cache/")
    output = page.locator(".language-output").first
    assert "You should see" in output.evaluate("block => getComputedStyle(block, '::before').content")
    assert output.locator(".md-clipboard, .md-code__button").filter(visible=True).count() == 0


def test_a_step_that_changes_something_says_so_in_words(context: BrowserContext, site_url: str) -> None:
    page, _ = open_page(context, site_url, "/runbooks/restart-the-worker/")
    for kind, label in (("changes", "Changes something"), ("rollback", "Rolls back")):
        block = page.locator(f".highlight.{kind}").first
        assert label in block.evaluate("block => getComputedStyle(block, '::before').content")
