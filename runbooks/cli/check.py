"""``runbooks check PAGE...``: what is wrong with pages, without running them."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from runbooks.cli.output import printable
from runbooks.cli.page_argument import PagesArgument, find_all
from runbooks.errors import UserError


class Format(StrEnum):
    """How findings are printed."""

    text = "text"
    github = "github"
    json = "json"


def check(
    pages: PagesArgument,
    form: Annotated[
        Format, typer.Option("--format", help="text, github (annotations of a run), or json.")
    ] = Format.text,
) -> None:
    """Read pages and say what is wrong with them: file, line, column. Nothing is executed.

    Sections and titles, blocks that are not accounted for, unknown attributes, links that lead nowhere, a change
    without a way back, a verification that verifies nothing, commands that name a host which cannot be changed.

    Exit code 0: nothing was found. 1: something was. 2: a page is not there or cannot be read.
    """
    from runbooks.pages.lint import lint

    paths = find_all(pages)
    try:
        found = [finding for path in paths for finding in lint(path, root=Path.cwd())]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"A page cannot be read: {error}.", "Give the path of a Markdown file in UTF-8.") from error
    if form is Format.json:
        typer.echo(json.dumps([vars(finding) for finding in found], indent=2))
    for finding in found if form is not Format.json else ():
        where = f"file={finding.file},line={finding.line},col={finding.column}"
        message = finding.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        line = f"::error {where},title={finding.rule}::{message}" if form is Format.github else str(finding)
        typer.echo(printable(line))
    if form is Format.text:
        count = f"{len(paths)} {'pages' if len(paths) > 1 else 'page'}"
        typer.echo(f"{count}: {len(found)} findings." if found else f"{count}: nothing to mend.", err=bool(found))
    raise typer.Exit(1 if found else 0)
