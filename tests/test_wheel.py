"""What is installed is all that is needed: files that are no Python are in the wheel, too."""

from __future__ import annotations

import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    held = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "runbooks").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path.rpartition(".")[2] for path in files} >= {"py", "html", "css", "js", "svg"}
    assert files - held == set()


@pytest.mark.parametrize("extra", ["lab", "status"])
def test_an_extra_brings_what_its_pages_are_made_with(extra: str) -> None:
    needed = [line for line in metadata.requires("genonaut-runbooks") or () if line.startswith("jinja2")]
    assert any(f'extra == "{extra}"' in line.replace("'", '"') for line in needed)
