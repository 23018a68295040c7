"""The argument PAGE, which several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runbooks.errors import UserError
from runbooks.pages.find import find_page, list_pages
from runbooks.pages.model import Page


def complete_page(incomplete: str) -> list[str]:
    """Return the names of pages that begin so, for the shell's completion."""
    names = list_pages(Path.cwd())
    return sorted({name for full in names for name in (full, full.rpartition("/")[2]) if name.startswith(incomplete)})


PageArgument = Annotated[
    str,
    typer.Argument(
        help="Its path, its name, or its address on the site.",
        autocompletion=complete_page,
        show_default=False,
        metavar="PAGE",
    ),
]
PagesArgument = Annotated[
    list[str],
    typer.Argument(
        help="Paths, names, addresses on the site, or folders of pages.",
        autocompletion=complete_page,
        show_default=False,
        metavar="PAGE...",
    ),
]


def find_all(wanted: list[str]) -> list[Path]:
    """Return the files that are meant; a folder means all pages in it.

    Raises:
        UserError: there is no such page.
    """
    paths: dict[Path, None] = {}
    for name in wanted:
        folder = Path(name)
        found = sorted(folder.rglob("*.md")) if folder.is_dir() else [find_page(name, Path.cwd())]
        if not found:
            raise UserError(f"There is no page in {name}.", "Give a folder with Markdown files.")
        paths |= dict.fromkeys(path.resolve() for path in found)
    return list(paths)


def read_page(wanted: str) -> Page:
    """Find a page and read it.

    Raises:
        UserError: there is no such page, it cannot be read, it has problems, or no steps.
    """
    from runbooks.pages.parse import parse_page

    path = find_page(wanted, Path.cwd())
    try:
        page = parse_page(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.", "Give the path of a Markdown file in UTF-8.") from error
    if page.problems:
        first = page.problems[0]
        raise UserError(f"{page.name}:{first.line}: {first.message}", f"See all with: runbooks check {wanted}")
    if not page.steps:
        raise UserError(f"{page.name} has no steps.", "A step is a fenced block of bash, console or python.")
    return page
