"""Pages that a script writes are what it would write now."""

from __future__ import annotations

import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from runbooks.drift.findings import CATALOGUE
from runbooks.pages import Kind, parse_page
from runbooks.pages.find import list_pages
from runbooks.settings import Settings

GEN = Path(__file__).resolve().parents[2] / "docs" / "_gen"


@cache
def load(name: str) -> ModuleType:
    """A script of docs/_gen as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", GEN / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return load("reference")


@pytest.fixture(scope="module")
def errors() -> ModuleType:
    return load("errors")


@pytest.mark.parametrize(
    "name", ["_data/freeze-matrix.md", "reference/settings.md", "reference/cli.md", "reference/findings.md"]
)
def test_a_generated_page_is_current(reference: ModuleType, name: str) -> None:
    path = reference.DOCS / name
    assert path.read_text(encoding="utf-8") == reference.GENERATED[path](), "run: make reference"


def test_the_script_knows_who_reads_every_setting(reference: ModuleType) -> None:
    assert set(reference.READERS) == {name.replace("_", "-") for name in Settings.model_fields}


@pytest.mark.parametrize("script", ["errors", "http_api"])
def test_a_page_with_a_script_of_its_own_is_current(script: str) -> None:
    made = load(script)
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run: make reference"


def test_what_is_made_from_the_navigation_is_current() -> None:
    for path, make in load("outline").generated().items():
        assert path.read_text(encoding="utf-8") == make(), f"{path}: run: make reference"


def test_at_least_95_of_100_python_and_shell_blocks_of_the_pages_are_executed() -> None:
    root = GEN.parents[1]
    blocks = [block for path in list_pages(root).values() for block in parse_page(path, root=root).blocks]
    kinds = [block.kind for block in blocks if block.language in ("python", "py", "bash", "sh", "shell", "console")]
    assert Kind.UNACCOUNTED not in kinds
    assert kinds.count(Kind.STEP) / len(kinds) >= 0.95


def test_the_picture_of_the_terminal_shows_the_verdict_as_the_doctor_words_it() -> None:
    picture = (GEN.parent / "_diagrams" / "doctor.svg").read_text(encoding="utf-8")
    assert CATALOGUE["worker-stale"].title.replace(" ", "\u00a0") in picture, "run: make picture"


def test_every_message_of_the_software_has_a_cause_and_a_cure_in_the_error_index(errors: ModuleType) -> None:
    assert errors.problems() == [], f"mend {errors.CAUSES.relative_to(errors.ROOT)}, then run: make reference"


def test_no_message_escapes_the_error_index(errors: ModuleType) -> None:
    """Counted in another way than the index is made: by the words of the code itself."""
    said = {message.what for message in errors.messages()}
    told = re.compile(r'(?:UserError|KernieError|_refusal|ComfyUI\w+Error)\(\s*(?:\d+, )?f?"([^"{]{12,})')
    for path in sorted((errors.ROOT / "runbooks").rglob("*.py")):
        if path.name == "errors.py":
            continue  # where the class is explained
        for words in told.findall(path.read_text(encoding="utf-8")):
            assert any(what.startswith(words.strip()) for what in said), f"{path}: {words}"
