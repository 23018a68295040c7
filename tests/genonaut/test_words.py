"""What became of a job, in words for who asked for the picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from markdown.extensions.toc import slugify  # type: ignore[import-untyped]

from runbooks.drift.findings import CATALOGUE
from runbooks.drift.web.render import title
from runbooks.drift.web.sitelink import DEFAULT, site_link
from runbooks.genonaut.web import words
from runbooks.genonaut.web.words import Now, explain

DOCS = Path(__file__).parents[2] / "docs"
OLD, NEW = "http://localhost:8000", "http://localhost:8189"
REFUSED = f"Failed to connect to ComfyUI at {OLD}: HTTPConnectionPool(host='localhost', port=8000): Max retries"


@pytest.mark.parametrize(
    ("is_stale", "do"),
    [(True, "must be restarted."), (None, "if that was not done since"), (False, "has the new value by now")],
)
def test_a_url_that_is_not_the_files_means_a_stale_worker(is_stale: bool | None, do: str) -> None:
    told = explain(REFUSED, Now(NEW, is_stale))
    assert OLD in told.what
    assert NEW in told.what
    assert do in told.do
    assert told.page == "runbooks/restart-the-worker.md"


def test_the_files_own_url_means_that_nothing_answers_there() -> None:
    told = explain(
        "Failed to connect to ComfyUI at http://me:****@localhost:1: no", Now("http://me:x@localhost:1", False)
    )
    assert told.what == "The worker could not reach ComfyUI at http://me:****@localhost:1."
    for now in (Now(OLD, False), Now(f"{OLD}/", False), Now()):
        told = explain(REFUSED, now)
        assert told.what == f"The worker could not reach ComfyUI at {OLD}."
        assert told.page == "runbooks/is-the-mock-up.md"


@pytest.mark.parametrize(
    ("error", "what", "page"),
    [
        (f"ComfyUI at {NEW} did not answer GET / within 30 s", "did not answer in time", "runbooks/mock-is-slow"),
        ("Unable to determine primary image path for job 2", "another folder", "runbooks/switch-comfyui-and-mock.md"),
        (f"ComfyUI at {NEW} rejected the workflow: Prompt has no outputs", "refused the job", "troubleshooting.md"),
        (f"POST {NEW}/prompt answered 404 Not Found (text/html): is that ComfyUI?", "not ComfyUI", "runbooks/is-the"),
        ("Workflow 1 timed out after 900 seconds", "never finished", "runbooks/job-stuck-in-running.md"),
        ("Cancelled: changed my mind", "was cancelled", "troubleshooting.md"),
        ("ZeroDivisionError", "could not be made", "troubleshooting.md"),
        (None, "could not be made", "troubleshooting.md"),
    ],
)
def test_every_kind_of_error_has_words_and_a_page(error: str | None, what: str, page: str) -> None:
    told = explain(error, Now(NEW, False))
    assert what in told.what
    assert told.do
    assert told.page.startswith(page)


def test_what_an_error_quotes_is_shown_without_secrets_and_not_at_any_length() -> None:
    secret = "hunter2hunter2"
    for error in (
        f"Failed to connect to ComfyUI at http://me:{secret}@localhost:8000: refused",
        f"ComfyUI at {NEW} rejected the workflow: see http://x/?token={secret} and redis://:{secret}@localhost/0",
        f"OperationalError: postgresql://me:{secret}@db/genonaut",
    ):
        told = explain(error, Now(NEW, True))
        assert secret not in f"{told}"
    assert len(explain("x" * 5000, Now()).detail) < 500


def test_a_page_that_is_linked_to_exists_with_its_title_and_its_heading() -> None:
    own = {value for name, value in vars(words).items() if name.endswith("_PAGE")}
    for page in {kind.page for kind in CATALOGUE.values()} | own:
        path, _, anchor = page.partition("#")
        text = (DOCS / path).read_text(encoding="utf-8")
        meta = yaml.safe_load(text.split("---")[1])
        assert title(page) == meta["title"]
        headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
        known = [re.search(r"\{ #([\w-]+) \}$", heading) for heading in headings]
        anchors = {found[1] if found else slugify(line, "-") for line, found in zip(headings, known, strict=True)}
        assert not anchor or anchor in anchors, page


@pytest.mark.parametrize(
    ("set_to", "page", "url"),
    [
        (None, "runbooks/restart-the-worker.md", f"{DEFAULT}runbooks/restart-the-worker/"),
        ("https://docs.example/x", "troubleshooting.md#a-job", "https://docs.example/x/troubleshooting/#a-job"),
        ("https://docs.example/", "reference/index.md", "https://docs.example/reference/"),
        ("javascript:alert(1)//", "architecture.md", f"{DEFAULT}architecture/"),
    ],
)
def test_a_page_is_linked_to_where_the_site_is_served(
    monkeypatch: pytest.MonkeyPatch, set_to: str | None, page: str, url: str
) -> None:
    monkeypatch.delenv("RUNBOOKS_SITE_URL", raising=False)
    if set_to is not None:
        monkeypatch.setenv("RUNBOOKS_SITE_URL", set_to)
    assert site_link(page) == url
