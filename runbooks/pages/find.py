"""Find a page by its path, its name, or the address at which the site shows it."""

from __future__ import annotations

import contextlib
import difflib
from pathlib import Path
from urllib.parse import urlsplit

from runbooks.errors import UserError

_NOT_PAGES = ("node_modules", "site", "site-packages", "venv")


def find_page(wanted: str, root: Path) -> Path:
    """Return a page's file.

    Args:
        wanted: a path, a name (``restart-the-worker``), or a URL or a part of one (``runbooks/restart-the-worker/``).
        root: the project's folder; its pages are those below ``docs``, or all when there is no such folder.

    Raises:
        UserError: there is no such page (the nearest is named), or several have that name.
    """
    path = root / wanted
    with contextlib.suppress(OSError):  # a name that is too long for a file
        if path.is_file():
            return path.resolve()
    pages = list_pages(root)
    slug = urlsplit(wanted).path.strip("/").removesuffix(".html").removesuffix("/index").removesuffix(".md")
    found = [page for name, page in pages.items() if name == slug]
    found = found or [page for name, page in pages.items() if name.endswith(f"/{slug}")]
    found = found or [page for name, page in pages.items() if slug.endswith(f"/{name}") and name]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(page.relative_to(root.resolve()).as_posix() for page in found)
        raise UserError(f"Several pages are called '{wanted}'.", f"Give the path of one: {names}")
    last = {name: name.rpartition("/")[2] for name in pages}
    close = difflib.get_close_matches(slug.rpartition("/")[2], last.values(), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(dict.fromkeys(close))}?" if close else f"Pages are looked for below {root}."
    raise UserError(f"There is no page '{wanted}'.", hint)


def list_pages(root: Path) -> dict[str, Path]:
    """Return the project's pages by the address that the site gives them: ``runbooks/restart-the-worker``."""
    base = (root / "docs" if (root / "docs").is_dir() else root).resolve()
    pages = {}
    for path in sorted(base.rglob("*.md")):
        parts = path.relative_to(base).parts
        if any(part.startswith((".", "_")) or part in _NOT_PAGES for part in parts[:-1]):
            continue
        name = path.relative_to(base).with_suffix("").as_posix()
        pages[name.removesuffix("index").rstrip("/") if path.stem == "index" else name] = path
    return pages
