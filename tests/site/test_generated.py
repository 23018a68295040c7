"""Pages that a script writes are what it would write now."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from runbooks.settings import Settings

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "_gen" / "reference.py"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name", ["_data/freeze-matrix.md", "reference/settings.md", "reference/cli.md", "reference/findings.md"]
)
def test_a_generated_page_is_current(reference: ModuleType, name: str) -> None:
    path = reference.DOCS / name
    assert path.read_text(encoding="utf-8") == reference.GENERATED[path](), (
        f"run: python {SCRIPT.relative_to(SCRIPT.parents[2])}"
    )


def test_the_script_knows_who_reads_every_setting(reference: ModuleType) -> None:
    assert set(reference.READERS) == {name.replace("_", "-") for name in Settings.model_fields}
