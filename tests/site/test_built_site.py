"""What stands in the built site, without a browser."""

from __future__ import annotations

import gzip
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from runbooks.pages import parse_page
from runbooks.pages.parse import RUNNERS
from runbooks.settings import Settings
from runbooks.target import Target
from tests.site.built import Document, is_external, read_document, target_of

DOCS = Path(__file__).parents[2] / "docs"
MEASURED = Path(__file__).parents[2] / "docs" / "_data" / "freeze-matrix.json"
ROOMS = ("errors", "settings", "target", "comfyui", "drift", "workers", "lab", "pages")


@pytest.fixture(scope="module")
def documents(site: Path) -> dict[Path, Document]:
    return {path: read_document(path) for path in sorted(site.rglob("*.html"))}


def test_every_link_leads_to_a_page_and_an_anchor_that_exist(site: Path, documents: dict[Path, Document]) -> None:
    broken = []
    for document in documents.values():
        for link in document.links:
            target = target_of(site, document, link)
            if target is None or link.startswith("javascript:"):
                continue
            file, anchor = target
            if not file.is_file():
                broken.append(f"{document.path.relative_to(site)}: {link}")
            elif anchor and file in documents and anchor not in documents[file].ids:
                broken.append(f"{document.path.relative_to(site)}: {link} (no such anchor)")
    assert broken == []


def test_a_colleague_can_be_sent_to_every_step_of_a_runbook(site: Path, documents: dict[Path, Document]) -> None:
    for path in sorted((site / "runbooks").glob("*/index.html")):
        steps = set(re.findall(r'<h3 id="(\d[^"]*)"', path.read_text(encoding="utf-8")))
        linked = {link.removeprefix("#") for link in documents[path].links if link.startswith("#")}
        assert steps <= linked, path


def test_nothing_is_loaded_from_another_host(site: Path, documents: dict[Path, Document]) -> None:
    loaded = {f"{d.path.relative_to(site)}: {url}" for d in documents.values() for url in d.loads if is_external(url)}
    for sheet in site.rglob("*.css"):
        urls = re.findall(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)", sheet.read_text(encoding="utf-8"))
        loaded |= {f"{sheet.name}: {url}" for pair in urls for url in pair if is_external(url)}
    assert loaded == set()


def weight_of(site: Path, document: Document) -> int:
    """Bytes of a page and of all that it loads, as a server sends them that compresses with gzip."""
    files = {target_of(site, document, url) for url in document.loads}
    return sum(
        len(gzip.compress(file.read_bytes())) for file in {document.path, *(found[0] for found in files if found)}
    )


def test_a_first_visit_to_a_page_takes_at_most_100_kib(site: Path, documents: dict[Path, Document]) -> None:
    """All that is fetched stands in the page: tests/site/test_in_a_browser.py holds that against a browser."""
    pages = {str(document.path.relative_to(site)): weight_of(site, document) for document in documents.values()}
    assert {page: weight for page, weight in pages.items() if weight > 100 * 1024} == {}


def test_every_page_says_in_a_sentence_of_its_own_what_it_is(site: Path, documents: dict[Path, Document]) -> None:
    told: dict[str, Path] = {}
    for path, document in documents.items():
        if path.name == "404.html":
            continue
        assert document.description not in told, f"{path} and {told[document.description]} say the same"
        told[document.description] = path


def test_the_freeze_table_says_what_was_measured(site: Path, documents: dict[Path, Document]) -> None:
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    rows = documents[site / "architecture" / "index.html"].rows
    table = [[cell.strip() for cell in row[1:]] for row in rows if {"OLD", "NEW"} & {cell.strip() for cell in row}]
    assert table == list(measured["actions"].values())


def test_every_setting_can_be_linked_to_and_names_its_variable(site: Path, documents: dict[Path, Document]) -> None:
    page = documents[site / "reference" / "settings" / "index.html"]
    for name in Settings.model_fields:
        assert name.replace("_", "-") in page.ids
        assert f"Variable: {name.upper()}" in page.text


def test_every_variable_that_a_page_may_set_is_in_the_reference_with_its_default(
    site: Path, documents: dict[Path, Document]
) -> None:
    class Recording(dict[str, str]):
        def get(self, name: str, default: object = None) -> Any:
            asked.append(name)
            return super().get(name, default)

    asked: list[str] = []
    target = Target.from_environment(Recording(GENONAUT_ROOT="/root"))
    told = {row[0]: row[1] for row in documents[site / "reference" / "index.html"].rows if len(row) == 3}
    assert set(asked) <= set(told)
    shown = {told[name].replace("$GENONAUT_ROOT", "/root") for name in asked if name != "GENONAUT_ROOT"}
    assert shown == {str(value) for name, value in vars(target).items() if name != "root"}


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_in_the_python_reference(room: str, documents: dict[Path, Document]) -> None:
    module = importlib.import_module(f"runbooks.{room}")
    documented = {anchor for document in documents.values() for anchor in document.ids}
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    public = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
    assert public
    missing = [name for name in public if f"{module.__name__}.{name}" not in documented]
    assert missing == []


def test_every_page_shows_exactly_the_steps_that_are_run(site: Path) -> None:
    """The same count as in pytest and in ``runbooks run``, which both take them from ``parse_page``."""
    counted = {}
    for path in sorted(DOCS.rglob("*.md")):
        is_source = any(part.startswith("_") for part in path.relative_to(DOCS).parts)
        if is_source or "\n::: " in path.read_text("utf-8"):  # the latter shows signatures and docstrings
            continue
        name = path.relative_to(DOCS).with_suffix("")
        folder = name.parent if name.name == "index" else name
        html = (site / folder / "index.html").read_text("utf-8")
        shown = re.findall(rf'<div class="[^"]*language-(?:{"|".join(RUNNERS)}) [^"]*"(?![^>]*data-exempt)', html)
        counted[name.as_posix()] = (len(shown), len(parse_page(path, root=DOCS.parent).steps))
    assert {name: count for name, count in counted.items() if count[0] != count[1]} == {}
    assert sum(steps for _, steps in counted.values()) > 100


def test_sources_of_the_site_are_not_published(site: Path) -> None:
    assert [path for path in site.rglob("_*") if not path.name.startswith("_mkdocstrings")] == []
