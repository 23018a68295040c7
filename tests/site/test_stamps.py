"""What a page says of the run that proved it last."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from runbooks.pages.find import list_pages
from runbooks.pages.parse import parse_page
from runbooks.pages.stamps import Stamp, page_digest

ROOT = Path(__file__).resolve().parents[2]
PAGE = "# A\n\n```bash\ntrue\n```\n"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_stamps", ROOT / "docs" / "_gen" / "stamps.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def stamp_of(path: Path, code: str = "c") -> Stamp:
    return Stamp("2026-11-25T03:24:57+00:00", "abc", 3, 1, 31.24, page_digest(path, path.parent.parent), code)


def test_a_page_says_verified_only_as_long_as_page_and_code_are_those_that_ran(
    script: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "docs" / "a.md"
    path.parent.mkdir()
    path.write_text(PAGE)
    (tmp_path / "docs" / "theory.md").write_text("# B\n\nNo step.\n")
    stamps = {"docs/a.md": stamp_of(path)}

    def said(code: str = "c") -> tuple[str, str]:
        states: dict[str, tuple[str, str]] = script.states_of(tmp_path, stamps, code)
        assert set(states) == {"a"}
        return states["a"]

    state, text = said()
    assert state == "verified"
    assert text.startswith("Verified 25 November 2026, 03:24 UTC at commit abc: 3 blocks executed")
    assert text.endswith("in 31.2 s.")
    assert said("d")[1].startswith("Not verified: the code has changed since the page's last run, 25 November 2026")
    path.write_text(PAGE + "More.\n")
    assert said()[1].startswith("Not verified: the page has changed since its last run, 25 November 2026")
    stamps.clear()
    assert said()[1].startswith("Not verified here: no run of this page is recorded")


def test_every_page_with_steps_carries_its_stamp_above_its_title_and_no_other_does(site: Path) -> None:
    for address, path in list_pages(ROOT).items():
        page = (site / address / "index.html").read_text(encoding="utf-8")
        stamp, title = page.find('<p class="stamp '), page.find("<h1")
        assert (0 < stamp < title) if parse_page(path, root=ROOT).steps else stamp == -1, address


def test_every_page_leads_to_where_it_is_edited(site: Path) -> None:
    for address, path in list_pages(ROOT).items():
        page = (site / address / "index.html").read_text(encoding="utf-8")
        source = path.relative_to(ROOT).as_posix()
        assert f"This page is <code>{source}</code>" in page
        assert f'href="https://example.org/genonaut-runbooks/edit/main/{source}"' in page
