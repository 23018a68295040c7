"""When a page was proven last: written by the run that executed it, and true until the page or the code changes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from runbooks.errors import UserError
from runbooks.pages.includes import IncludeError, expand


@dataclass(frozen=True)
class Stamp:
    """A run of a page in which every step passed.

    Attributes:
        at: when it ended, in UTC: ``2026-11-25T03:24:57+00:00``.
        commit: what was checked out, ``…-dirty`` when files differed from it; "" outside of git.
        steps: how many blocks were executed.
        outputs: how many blocks were compared with what was printed.
        seconds: how long they took together.
        page: the digest of the page that was run, see `page_digest`.
        code: the digest of the code that it ran on, see `code_digest`.
    """

    at: str
    commit: str
    steps: int
    outputs: int
    seconds: float
    page: str
    code: str


def page_digest(path: Path, root: Path) -> str:
    """Return the SHA-256 of a page's text with everything that it includes.

    Args:
        path: the page.
        root: the folder that its includes are relative to.
    """
    lines = path.read_text("utf-8").split("\n")
    with suppress(IncludeError):  # a page with a problem: no run of it is green
        lines, _ = expand(lines, range(1, len(lines) + 1), root)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def code_digest(root: Path, parts: Iterable[str]) -> str:
    """Return the SHA-256 of the names and contents of files.

    Args:
        root: the project's folder.
        parts: files in it, and folders of which every ``.py`` file counts.
    """
    digest = hashlib.sha256()
    for part in parts:
        path = root / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def commit_of(root: Path) -> str:
    """Return the commit that is checked out, as git describes it; "" where git knows none."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def read_stamps(file: Path) -> dict[str, Stamp]:
    """Return the stamps of a file by the page's name; none when there is no such file.

    Raises:
        UserError: it holds something else.
    """
    if not file.exists():
        return {}
    try:
        return {name: Stamp(**stamp) for name, stamp in json.loads(file.read_text("utf-8")).items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{file} holds no stamps: {error}.", "Delete it; the next run of the pages writes it."
        ) from error


def write_stamps(file: Path, stamps: Mapping[str, Stamp]) -> None:
    """Write a file of stamps, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: asdict(stamp) for name, stamp in sorted(stamps.items())}, indent=1)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    part.write_text(text + "\n", "utf-8")
    part.replace(file)
