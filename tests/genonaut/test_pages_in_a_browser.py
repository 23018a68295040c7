"""Both pages in a real browser, through the whole incident: an edit, a stale worker, a picture that fails, the cure."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from runbooks.lab import Lab
from runbooks.lab.processes import lab_environment, spawn
from tests.support.browser import all_faults, axe, browser, context, launch, open_page
from tests.support.waiting import wait_until

__all__ = ["axe", "browser", "context"]

pytestmark = pytest.mark.e2e

PROMPT = 'a red fox <img src="/x" onerror="document.title = \'hacked\'"> in snow'
SOON = 15_000
"""Milliseconds for what takes a process's start or end."""


@dataclass
class Story:
    """The lab, a browser window, and what the pages have asked other hosts for."""

    lab: Lab
    context: BrowserContext
    axe: str
    foreign: list[list[str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def old(self) -> str:
        return self.lab.environment()["COMFYUI_REAL_URL"]

    @property
    def new(self) -> str:
        return self.lab.environment()["MOCK_URL"]

    def open(self, path: str) -> Page:
        page, foreign = open_page(self.context, self.lab.environment()["API_URL"], path)
        self.foreign.append(foreign)
        return page

    def check(self, page: Page) -> None:
        """Nothing for axe to find, no other host asked, nothing to complain of, no markup of a prompt obeyed."""
        assert "\n".join(all_faults(page, self.axe)) == ""
        assert [url for urls in self.foreign for url in urls] == []
        assert self.complaints == []
        assert "hacked" not in page.title()
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light")

    def edit(self) -> None:
        """Name the mock where the real ComfyUI was named, and restart nothing."""
        file = self.lab.root / "env" / ".env.local-demo"
        environment = self.lab.environment()
        text = file.read_text().replace(self.old, self.new)
        file.write_text(text.replace(environment["COMFYUI_REAL_OUTPUT_DIR"], environment["MOCK_OUTPUT_DIR"]))

    def stop_worker(self) -> None:
        pid = self.lab.state.service("worker").pid
        assert pid
        os.kill(pid, signal.SIGTERM)

    def start_worker(self) -> None:
        root = self.lab.root
        environ = lab_environment(root, "local-demo", {"COMFYUI_URL", "COMFYUI_OUTPUT_DIR"})
        spawn(["make", "celery-demo"], root=root, environ=environ, log=root / "logs" / "worker-2.log")


@pytest.fixture
def story(tmp_path: Path, context: BrowserContext, axe: str) -> Iterator[Story]:
    lab = Lab.start(tmp_path / "lab", free_ports=True, comfyui=True)
    story = Story(lab, context, axe)
    # Such as what the page's own policy forbids.
    context.on("console", lambda said: story.complaints.append(said.text) if said.type == "error" else None)
    context.on("weberror", lambda error: story.complaints.append(str(error.error)))
    yield story
    lab.discard()


def test_the_incident_from_the_edit_to_the_picture(story: Story, browser: Browser) -> None:
    status = story.open("/status")
    expect(status.get_by_text("Live: this page follows every change.")).to_be_visible()
    worker = status.locator("article", has_text="Main process")
    expect(worker).to_contain_text("Holds what the files say.", timeout=SOON)
    expect(status.locator(".verdict")).to_contain_text("Nothing listens at the ComfyUI URL")

    _the_edit_is_seen_within_two_seconds(story, status)
    _generate_fails_in_plain_words(story)
    story.check(status)
    _the_keyboard_stays_where_it_is(status)
    story.stop_worker()
    expect(status.locator(".verdict")).to_contain_text("No worker runs", timeout=SOON)
    expect(status.get_by_text("No worker reports. Nobody takes jobs.")).to_be_visible()
    story.start_worker()
    expect(status.locator(".verdict")).to_contain_text("All is well.", timeout=SOON)
    expect(worker).to_contain_text("Holds what the files say.", timeout=SOON)
    _generate_shows_the_picture(story)
    _all_of_it_works_without_a_script(story, browser)
    _the_page_says_that_it_is_not_live_any_more(story, status)


def _the_edit_is_seen_within_two_seconds(story: Story, status: Page) -> None:
    pid = story.lab.state.service("worker").pid
    finding = status.locator(".findings li", has_text="The worker holds an older value than the files")
    story.edit()
    edited = time.monotonic()
    expect(finding).to_be_visible(timeout=2_000)
    assert time.monotonic() - edited < 2
    for text in (f"worker main {pid}", "COMFYUI_URL", story.old, story.new, "env/.env.local-demo:2"):
        expect(finding).to_contain_text(text)
    link = finding.get_by_role("link", name="Runbook: Restart the worker after a config change")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/runbooks/restart-the-worker/", link.get_attribute("href") or "")
    assert f"runbooks restart-worker --root {story.lab.root}" in finding.inner_text()
    # In a word beside the colour.
    expect(finding).to_contain_text("Problem")
    expect(status.locator("article", has_text="Main process")).to_contain_text("stale")


def _generate_fails_in_plain_words(story: Story) -> None:
    page = story.open("/")
    page.get_by_label("Prompt").fill(PROMPT)
    page.get_by_role("button", name="Generate").click()
    panel = page.locator("#job")
    says = f"There is no picture. The worker used {story.old} for this job, and could not reach ComfyUI there."
    expect(panel).to_contain_text(says, timeout=SOON)
    expect(panel).to_contain_text(f"The configuration now says {story.new}.")
    expect(panel).to_contain_text("The worker must be restarted.")
    link = panel.get_by_role("link", name="Runbook: Restart the worker after a config change")
    assert str(link.get_attribute("href")).endswith("/runbooks/restart-the-worker/")
    assert page.get_by_label("Prompt").input_value() == PROMPT
    story.check(page)
    page.close()


def _the_keyboard_stays_where_it_is(status: Page) -> None:
    link = status.locator(".findings a").first
    link.focus()
    before = status.locator(".ago").first.get_attribute("data-age")
    said = status.evaluate(
        "() => { window.changes = 0; new MutationObserver(() => window.changes++).observe(document"
        ".querySelector('[role=status]'), {subtree: true, childList: true, characterData: true}) }"
    )
    assert said is None
    status.wait_for_function(
        "before => document.querySelector('.ago').dataset.age !== before", arg=before, timeout=10_000
    )
    assert link.evaluate("link => link === document.activeElement"), "an event has taken the focus away"
    assert status.evaluate("window.changes") == 0, "a screen reader is told again what has not changed"


def _generate_shows_the_picture(story: Story) -> None:
    page = story.open("/")
    page.get_by_label("Prompt").fill(PROMPT)
    page.get_by_label("Size in pixels").select_option("768x512")
    page.get_by_label("Size in pixels").press("Tab")
    page.keyboard.press("Enter")
    picture = page.get_by_role("img", name="The picture for the prompt: a red fox")
    expect(picture).to_be_visible(timeout=SOON)
    page.wait_for_function("document.querySelector('.picture img').naturalWidth === 768", timeout=5_000)
    assert page.get_by_label("Size in pixels").input_value() == "768x512"
    story.check(page)
    page.close()


def _all_of_it_works_without_a_script(story: Story, browser: Browser) -> None:
    # Not java_script_enabled=False: that leaves <noscript> out, too.
    without = launch(browser.browser_type, "--blink-settings=scriptEnabled=false")
    page = without.new_page()
    url = story.lab.environment()["API_URL"]
    page.goto(f"{url}/status")
    expect(page.locator(".verdict")).to_contain_text("All is well.")
    expect(page.locator("[data-link]")).to_contain_text(re.compile(r"As of \d\d:\d\d:\d\d UTC. Look again"))
    expect(page.locator(".jobs")).to_contain_text("completed")
    page.get_by_role("link", name="Generate", exact=True).click()
    page.get_by_role("button", name="Generate").click()
    # The page asks for itself again until the picture is there.
    expect(page.locator(".picture img")).to_be_visible(timeout=SOON)
    without.close()


def _the_page_says_that_it_is_not_live_any_more(story: Story, status: Page) -> None:
    pid = story.lab.state.service("api").pid
    assert pid
    api = psutil.Process(pid)
    api.terminate()
    wait_until(lambda: not api.is_running() or api.status() == psutil.STATUS_ZOMBIE, 4, "a browser holds the API up")
    expect(status.locator("[data-link]")).to_contain_text(
        re.compile(r"No answer from the API since \d\d:\d\d:\d\d UTC. What you see is of then."), timeout=SOON
    )
