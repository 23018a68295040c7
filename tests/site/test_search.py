"""The site's search, in a real browser: questions of readers, and the error texts that were recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser

from tests.genonaut.recordings import FOLDER, recording

QUESTIONS: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "questions.yaml").read_text("utf-8"))
# How the recorded texts begin, behind a status, and the entries that tell of them.
ENTRIES = {
    "Failed to connect to ComfyUI at": ["troubleshooting/#failed-to-connect-to-comfyui"],
    "Unable to determine primary image path": ["troubleshooting/#unable-to-determine-primary-image-path"],
    "The image queuing service is not currently running": [
        "troubleshooting/#503-image-queuing-service",
        "reference/errors/#the-image-queuing-service-is-not",
    ],
    "Cannot delete pending or running jobs": [
        "reference/errors/#cannot-delete-pending-or-running-jobs",
        "troubleshooting/#422-field-required-and-cannot-delete-pending-or-running-jobs",
    ],
    "Field required": ["troubleshooting/#422-field-required-and-cannot-delete-pending-or-running-jobs"],
    "GenerationJob with id": [
        "reference/errors/#generationjob-with-id-not-found",
        "troubleshooting/#404-generationjob-with-id-not-found",
    ],
    "User with id": ["troubleshooting/#404-user-with-id-not-found", "reference/errors/#user-with-id-not-found"],
}
RESULTS = """
items => items.map(item => [...item.querySelectorAll("a")].map(link => link.href.split("?")[0] + link.hash))
"""


def recorded_errors() -> list[str]:
    """Every text by which the recorded application says that something is wrong; not what a person wrote into a job."""
    names = [path.stem for path in FOLDER.glob("*.http") if path.stem != "stuck_put_status"]
    return sorted({text for name in names for text in _errors(recording(name).answer)})


def _errors(answer: dict[str, Any]) -> Iterator[str]:
    detail = answer.get("detail")
    if isinstance(detail, str):
        yield detail
    elif isinstance(detail, dict):
        yield detail["error"]["message"]
    elif isinstance(detail, list):
        yield from (problem["msg"] for problem in detail)
    if answer.get("status") == "failed" and answer.get("started_at"):
        yield answer["error_message"]


@pytest.fixture(scope="module")
def search(browser: Browser, site_url: str) -> Iterator[Callable[[str], list[list[str]]]]:
    """Type into the search box; returns the addresses of each result, the page's own and those of its sections."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{site_url}/404.html")
    page.wait_for_selector(".md-search[aria-label]", state="attached")
    meta = page.locator(".md-search-result__meta")

    def ask(text: str) -> list[list[str]]:
        box = page.locator(".md-search__input")
        box.fill("")
        page.wait_for_function(
            "e => e.textContent.includes('Type to start')", arg=meta.element_handle(), timeout=20_000
        )
        box.fill(text)
        box.press("End")
        page.wait_for_function("e => /matching doc/.test(e.textContent)", arg=meta.element_handle(), timeout=20_000)
        found: list[list[str]] = page.eval_on_selector_all(".md-search-result__item", RESULTS)
        return [[link.removeprefix(f"{site_url}/") for link in links] for links in found]

    yield ask
    context.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_among_the_first_three(search: Callable[[str], list[list[str]]], question: str) -> None:
    pages = [links[0].partition("#")[0] for links in search(question)]
    assert set(pages[:3]) & set(QUESTIONS[question]), pages[:6]


@pytest.mark.parametrize("text", recorded_errors())
def test_a_recorded_error_text_finds_its_entry_first(search: Callable[[str], list[list[str]]], text: str) -> None:
    words = re.sub(r"^\d{3}: ", "", text)
    (entries,) = [entries for begins, entries in ENTRIES.items() if words.startswith(begins)]
    page, best, *others = search(text)[0]
    assert best in entries, json.dumps([page, best, *others])
