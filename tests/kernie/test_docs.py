"""The tables about kernie-gen in the docs are what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from runbooks.kernie.differences import DIFFERENCES, MOCKED
from runbooks.kernie.faults import KINDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
TABLES = ["kernie-routes.md", "kernie-differences.md", "kernie-faults.md", "kernie-nodes.md"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_kernie", DOCS / "_gen" / "kernie.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_all_there_is(script: ModuleType) -> None:
    assert sorted(path.name for path in script.GENERATED) == sorted(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_current(script: ModuleType, name: str) -> None:
    path = script.DATA / name
    assert path.read_text(encoding="utf-8") == script.GENERATED[path](), "run: python docs/_gen/kernie.py"


def test_only_routes_that_exist_are_called_mocked(script: ModuleType) -> None:
    assert set(MOCKED) <= {path for path, _, _ in script.shown_routes()}


def test_what_differs_on_purpose_is_a_short_list_with_reasons() -> None:
    assert len(DIFFERENCES) <= 15
    assert all(what and why for what, why in DIFFERENCES)


def test_every_kind_of_fault_is_practised_on_its_page() -> None:
    page = (DOCS / "kernie-gen" / "practise-failures.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f'"kind": "{kind}"' not in page] == []
