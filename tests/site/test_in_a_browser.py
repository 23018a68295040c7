"""How the pages behave in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route
from pygments import formatters, highlight, lexers  # type: ignore[import-untyped]

from tests.site.built import read_document
from tests.support.browser import DRAWN, all_faults, open_page

DOCS = Path(__file__).resolve().parents[2] / "docs"


def open_ready(context: BrowserContext, site_url: str, path: str) -> tuple[Page, list[str]]:
    """Open a page and wait until its scripts, which run when it is drawn, have done what they do."""
    page, foreign = open_page(context, site_url, path)
    page.wait_for_selector(".md-search[aria-label]", state="attached")
    return page, foreign


def page_paths() -> list[str]:
    """The path of every page as the site serves it, and of the page for a path that does not exist."""
    sources = [
        path.relative_to(DOCS) for path in sorted(DOCS.rglob("*.md")) if not str(path.relative_to(DOCS)).startswith("_")
    ]
    served = [path.parent if path.stem == "index" else path.with_suffix("") for path in sources]
    return ["/" if str(path) == "." else f"/{path}/" for path in served] + ["/404.html"]


# What can be operated and is shown; of a group of radio buttons, the keyboard reaches one, and arrows the others.
CONTROLS = """() => {
  const group = (one) => (one?.name && one.type === "radio" ? one.name : one);
  const hidden = "[hidden], [tabindex='-1'], [aria-hidden='true']";
  const shown = (one) => one.getClientRects().length > 0 && getComputedStyle(one).visibility !== "hidden";
  const all = document.querySelectorAll("a[href], button, input, summary, label[for], [tabindex='0']");
  window.reached = new Set();
  window.group = group;
  window.controls = [...all].filter((one) => shown(one) && !one.disabled && !one.closest(hidden));
  addEventListener("focusin", ({ target }) => reached.add(group(target)));
  return controls.length;
}"""
UNREACHED = """() => controls.filter((one) => {
  const by = one.matches("label[for]") ? document.getElementById(one.htmlFor) : one;
  // A label without its control is a heading.
  return by && !reached.has(group(one)) && !reached.has(group(by)) && !by.matches(".md-toggle");
}).map((one) => one.outerHTML.slice(0, 160))"""
# From the last to the first, as Shift+Tab goes: what scrolls into view at the top must not end below the header.
FOCUSED = """() => controls.toReversed().flatMap((one) => {
  const by = one.matches("label[for]") ? document.getElementById(one.htmlFor) : one;
  if (!by || by.matches(".md-toggle") || (by.type === "radio" && !by.checked)) return [];
  by.focus();
  const told = one.outerHTML.slice(0, 160);
  if (document.activeElement !== by || by.tabIndex < 0) return [`not reached: ${told}`];
  // Of a tab, its label is what is seen.
  if (!one.closest(".md-content") || one.type === "radio") return [];
  const { left, top, width, bottom } = one.getBoundingClientRect();
  const [low, high] = [Math.max(top, 0), Math.min(bottom, innerHeight)];
  const x = left + Math.min(width, 8) / 2;
  const parts = [low + 2, (low + high) / 2, high - 2].map((y) => document.elementFromPoint(x, y));
  return parts.some((at) => at && (one.contains(at) || at.contains(one))) ? [] : [`below something: ${told}`];
})"""


@pytest.mark.parametrize("path", page_paths())
def test_a_page_has_no_accessibility_fault_in_either_scheme_on_desktop_or_phone_and_takes_the_keyboard(
    context: BrowserContext, site_url: str, axe: str, path: str
) -> None:
    page, foreign = open_ready(context, site_url, path)
    assert "\n".join(all_faults(page, axe)) == ""
    assert foreign == []
    # As wide as axe has left it, and then the other way: one page is opened once.
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(DRAWN)
        assert page.evaluate(CONTROLS) > 10
        assert "\n".join(page.evaluate(FOCUSED)) == "", f"{width} px"


def test_a_visit_fetches_what_the_page_names_and_the_search_index_only_when_somebody_searches(
    context: BrowserContext, site: Path, site_url: str
) -> None:
    fetched: list[str] = []
    context.on("request", lambda request: fetched.append(request.url.removeprefix(site_url)))
    page = context.new_page()
    page.goto(f"{site_url}/", wait_until="networkidle")
    named = {f"/{url.removeprefix('./')}" for url in read_document(site / "index.html").loads}
    assert set(fetched) == named | {"/"}
    page.wait_for_selector(".md-search[aria-label]", state="attached")
    page.keyboard.press("/")
    page.keyboard.type("worker")
    page.wait_for_selector(".md-search-result__item")
    rest = set(fetched) - named - {"/"}
    assert {url.rpartition("/")[2].partition(".")[0] for url in rest} == {"search_index", "search"}


@pytest.mark.parametrize("width", [1280, 390])
def test_the_tab_key_alone_reaches_all_that_can_be_operated(context: BrowserContext, site_url: str, width: int) -> None:
    page, _ = open_ready(context, site_url, "/runbooks/restart-the-worker/")
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(DRAWN)
    for _ in range(page.evaluate(CONTROLS) + 20):
        page.keyboard.press("Tab")
    assert page.evaluate(UNREACHED) == []


def test_the_scheme_is_worn_before_anything_is_drawn_and_a_choice_is_kept(browser: Browser, site_url: str) -> None:
    context = browser.new_context(reduced_motion="reduce", color_scheme="dark")
    drawn = "() => [document.body.dataset.mdColorScheme, getComputedStyle(document.documentElement).colorScheme]"
    page = context.new_page()
    page.route("**/*.js", lambda route: route.abort())
    page.goto(f"{site_url}/")
    assert page.evaluate(drawn) == ["slate", "dark"]
    shown = page.locator(".md-header__option label:visible")
    for name, scheme in (("light", "slate"), ("dark", "default"), ("system", "slate")):
        assert name in str(shown.get_attribute("title"))
        assert page.evaluate(drawn)[0] == scheme
        shown.click()
    page.emulate_media(color_scheme="light")
    page.wait_for_function("document.body.dataset.mdColorScheme === 'default'")
    page.get_by_role("radio", checked=True).press("Enter")
    page.keyboard.press("Enter")
    assert page.evaluate(drawn) == ["slate", "dark"]
    page.goto(f"{site_url}/troubleshooting/")
    assert page.evaluate(drawn) == ["slate", "dark"]
    page.get_by_role("radio", checked=True).press("Enter")
    assert page.evaluate(drawn) == ["default", "light"]
    context.close()


def test_a_missing_page_offers_a_search_for_its_words(context: BrowserContext, site_url: str) -> None:
    page, _ = open_ready(context, site_url, "/404.html")
    page.evaluate("history.replaceState({}, '', '/runbooks/restart-the-queue.html')")
    text = (Path(__file__).parents[2] / "docs" / "_theme" / "404.html").read_text(encoding="utf-8")
    page.evaluate(text.partition("<script>")[2].partition("</script>")[0])
    assert page.inner_text("#lost a") == "runbooks restart the queue"
    assert page.get_attribute("#lost a", "href") == "?q=runbooks%20restart%20the%20queue"


def test_an_address_that_moved_leads_on(context: BrowserContext, site_url: str) -> None:
    page, _ = open_page(context, site_url, "/restart/#roll-back")
    page.wait_for_url(f"{site_url}/runbooks/restart-the-worker/#roll-back")


def test_a_printed_runbook_has_both_ways_of_a_step_and_nothing_to_click(context: BrowserContext, site_url: str) -> None:
    page, _ = open_ready(context, site_url, "/runbooks/restart-the-worker/")
    page.emulate_media(media="print", color_scheme="dark")
    blocks = page.locator(".tabbed-block")
    assert blocks.filter(visible=True).count() == blocks.count() > 4
    for gone in (".md-header", ".md-sidebar", ".md-code__nav", ".md-footer", ".headerlink"):
        assert page.locator(gone).filter(visible=True).count() == 0, gone
    assert page.evaluate("getComputedStyle(document.querySelector('pre > code')).whiteSpace") == "pre-wrap"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in (
        "rgb(255, 255, 255)",
        "rgba(0, 0, 0, 0)",
    )


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
    page, _ = open_ready(context, site_url, "/pitfalls/lru-cache/")
    output = page.locator(".language-output").first
    assert "You should see" in output.evaluate("block => getComputedStyle(block, '::before').content")
    assert output.locator(".md-clipboard, .md-code__button").filter(visible=True).count() == 0


def test_a_step_that_changes_something_says_so_in_words(context: BrowserContext, site_url: str) -> None:
    page, _ = open_ready(context, site_url, "/runbooks/restart-the-worker/")
    for kind, label in (("changes", "Changes something"), ("rollback", "Rolls back")):
        block = page.locator(f".highlight.{kind}").first
        assert label in block.evaluate("block => getComputedStyle(block, '::before').content")
