"""A real browser: the fixtures, opening a page with an eye on other hosts, and what axe says of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.util import find_spec
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, Route, sync_playwright

from tests.support.commands import cannot

QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
COLOUR_RULES = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
# What the page's scripts do about a new size (they watch for it) is done when a second frame is drawn.
DRAWN = "new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"


# Not for the session: while it is open, no other test of this process can call asyncio.run().
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    with a_browser() as browser:
        yield browser


@contextmanager
def a_browser(*, patient: bool = False) -> Iterator[Browser]:
    """A real Chromium.

    Args:
        patient: it lets every other process go first.
    """
    before = set(psutil.Process().children())
    with sync_playwright() as playwright:
        browser = launch(playwright.chromium)
        if patient:
            for driver in set(psutil.Process().children()) - before:
                for process in (driver, *driver.children(recursive=True)):
                    process.nice(10)
        yield browser
        browser.close()


def launch(kind: BrowserType, *options: str) -> Browser:
    """Start the Chromium of this machine."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        cannot("There is no Chromium. Install it: apt-get install chromium")
    return kind.launch(executable_path=chromium, args=[*QUIET, *options])


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser window of its own."""
    context = browser.new_context(reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, as the script that runs in the page."""
    if find_spec("axe_playwright_python") is None:
        cannot("There is no axe-core. Install it: pip install axe-playwright-python")
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def open_page(context: BrowserContext, site_url: str, path: str) -> tuple[Page, list[str]]:
    """Open a page; the list fills with what it asks other hosts for."""
    foreign: list[str] = []

    def look(route: Route) -> None:
        if route.request.url.startswith((site_url, "data:", "blob:")):
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    context.route("**/*", look)
    page = context.new_page()
    page.goto(site_url + path, wait_until="load")
    return page, foreign


def all_faults(page: Page, axe: str) -> list[str]:
    """What axe finds on an open page in both colour schemes, on a desktop and on a phone; and what is too wide."""
    # Not as a tag of the page: its policy forbids scripts that are not its own.
    page.evaluate(axe)
    faults = []
    # The same page in other colours needs its colours looked at again, and nothing else.
    looks = ((1280, "light", RULES), (1280, "dark", COLOUR_RULES), (390, "dark", RULES), (390, "light", COLOUR_RULES))
    for width, scheme, rules in looks:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.evaluate(DRAWN)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append(f"wider than a screen of {width} px")
        faults += [f"{scheme}, {width} px: {fault}" for fault in axe_faults(page, rules)]
    return faults


def axe_faults(page: Page, rules: dict[str, Any]) -> list[str]:
    """What axe finds, with up to three examples of each fault."""
    options = {"runOnly": rules, "resultTypes": ["violations"], "preload": False}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{fault['id']} ({fault['help']}): {node['html'][:160]}"
        for fault in found["violations"]
        for node in fault["nodes"][:3]
    ]
