"""The rooms: which may import which, how large a file may grow, and what never stands in a committed file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "runbooks"

MAY_IMPORT = {
    "errors": set(),
    "redaction": set(),
    "settings": {"errors"},
    "kernie": set(),
    "target": {"errors"},
    "comfyui": {"errors", "redaction", "settings"},
    "drift": {"errors", "redaction", "settings"},
    "genonaut": {"errors", "settings", "comfyui", "drift"},
    "workers": {"errors", "redaction", "settings", "drift"},
    "doctor": {"errors", "redaction", "settings", "drift", "workers"},
    "lab": {"errors", "redaction", "settings", "target", "kernie", "comfyui", "drift", "genonaut", "workers"},
    "pages": {"errors", "redaction"},
}
"""The table of the house. ``cli`` and ``runbooks/__init__.py`` may import all."""


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(file: Path) -> set[str]:
    """The rooms of ours that a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [
                f"{node.module}.{alias.name}" if node.module == "runbooks" else node.module for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("runbooks.")}
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("room", [*MAY_IMPORT, "cli"])
def test_a_room_imports_only_what_is_below_it(room: str) -> None:
    files = [file for file in FILES if room_of(file) == room]
    assert files, f"there is no room {room}"
    allowed = MAY_IMPORT.get(room, set(MAY_IMPORT) | {"__version__"}) | {room}
    wrong = {str(file.relative_to(ROOT)): imports_of(file) - allowed for file in files if imports_of(file) - allowed}
    assert not wrong


def test_every_room_is_in_the_table() -> None:
    assert {room_of(file) for file in FILES} == {*MAY_IMPORT, "cli", "__init__"}


def test_no_file_grows_past_400_lines_without_a_reason_at_its_head() -> None:
    long = []
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        if text.count("\n") > 400 and "longer than 400 lines" not in text[:600]:
            long.append(f"{file.relative_to(ROOT)}: {text.count(chr(10))}")
    assert not long


def test_importing_the_package_and_its_names_needs_no_extra() -> None:
    code = (
        "import sys, runbooks; runbooks.Target; runbooks.restart_worker; runbooks.find_workers; "
        "print(sorted({'celery', 'fastapi', 'sqlalchemy', 'aiohttp', 'PIL', 'mkdocs', 'pytest'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_committed_file_names_a_package_registry() -> None:
    # The brackets, so that this file does not name one.
    hosts = re.compile(
        rb"(files\.)?(py[p]i|python[h]osted|npm[j]s|registry\.npm|deb[i]an)\.(org|com|net)", re.IGNORECASE
    )
    named = [str(file.relative_to(ROOT)) for file in tracked_files() if hosts.search(file.read_bytes())]
    assert not named


def test_every_dependency_is_pinned_with_a_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    entries = re.split(r"\n(?=\S)", lock.strip())
    unpinned = [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    assert not unpinned
