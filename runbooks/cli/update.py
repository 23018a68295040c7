"""``runbooks update PAGE``: write what the steps print into the page's output blocks."""

from __future__ import annotations

import codecs
import difflib
import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from runbooks.cli.output import RootOption, console, printable, stop_on_signals
from runbooks.cli.page_argument import PageArgument, read_page
from runbooks.cli.page_target import PageTarget, know_settings, open_target
from runbooks.cli.run import EnvFileOption, FreshOption, TargetOption
from runbooks.errors import UserError

if TYPE_CHECKING:
    from runbooks.pages.model import Expected, Page
    from runbooks.redaction import Redactor


def update(
    page: PageArgument,
    target: TargetOption = "live",
    env_file: EnvFileOption = None,
    fresh: FreshOption = False,
    root: RootOption = Path(".lab"),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Run changing steps and write without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference and write nothing.")] = False,
) -> None:
    """Run a page and write what its steps print into its output blocks; wildcards stay where they fit.

    The difference is shown before anything is written. A step that fails, other than by its output, ends it.

    Exit code 0: the page is up to date now, or was. 1: a step failed, or there is a difference and it was not written.
    """
    from runbooks.pages.update import updated_text
    from runbooks.redaction import Redactor

    stop_on_signals()
    found = read_page(page)
    out = console()
    changing = [step for step in found.steps if step.changes or step.rollback]
    if changing and not yes and not _agreed("Its steps change something. Run them all?"):
        raise UserError("The page has steps that change something.", "Say yes to all of them with --yes.")
    with open_target(target, found, root=root, fresh=fresh, env_file=env_file) as page_target:
        redactor = Redactor(page_target.environ)
        know_settings(redactor, page_target.environ)
        compared = _run_all(found, page_target, redactor)
    updated = updated_text(found, compared, redactor)
    if updated.text != found.text:
        _show(found, updated.text)
        if dry_run or not (yes or _agreed("Write this?")):
            out.print("Nothing was written.")
            raise typer.Exit(1)
        _write(found, updated.text)
        out.print(f"Wrote {found.name}.", markup=False)
    for problem in updated.left:
        out.print(Text(f"{found.name}:{problem.line}: {problem.message}", "red"))
    if updated.left:
        raise typer.Exit(1)
    if updated.text == found.text:
        out.print(f"{found.name} is up to date: {len(compared)} outputs.", markup=False)


def _show(page: Page, text: str) -> None:
    """Print what would change."""
    before, after = page.text.splitlines(), text.splitlines()
    for line in difflib.unified_diff(before, after, page.name, page.name, lineterm=""):
        style = "green" if line.startswith("+") else "red" if line.startswith("-") else ""
        console().print(Text(printable(line), style))


def _write(page: Page, text: str) -> None:
    """Put the new page in the place of the old one, at once, with its line ends, mark of UTF-8 and permissions.

    Raises:
        UserError: it cannot be written, or is not what it was when it was read.
    """
    assert page.path is not None
    new: Path | None = None
    try:
        found = page.path.read_bytes()
        if page.path.read_text("utf-8-sig", "replace") != page.text:
            raise UserError(f"{page.name} was changed while its steps ran; nothing was written.", "Run it again.")
        # To replace a file needs no right to write it, and root has every right.
        if not page.path.stat().st_mode & 0o222 or not os.access(page.path, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only")
        ends = "\r\n" if b"\r\n" in found else "\n"
        descriptor, name = tempfile.mkstemp(prefix=f".{page.path.name}.", suffix=".new", dir=page.path.parent)
        os.close(descriptor)
        new = Path(name)
        new.write_text(text, "utf-8-sig" if found.startswith(codecs.BOM_UTF8) else "utf-8", newline=ends)
        shutil.copymode(page.path, new)
        new.replace(page.path)
    except OSError as error:
        raise UserError(
            f"{page.name} cannot be written: {error.strerror}.", "Make it writable, then run it again."
        ) from error
    finally:
        if new is not None:
            new.unlink(missing_ok=True)


def _agreed(question: str) -> bool:
    """Ask, if there is anybody to ask."""
    from runbooks.cli.page_terminal import ask_on_terminal, can_ask

    return can_ask() and ask_on_terminal(f"{question} [y]es, [n]o: ").strip().lower() in ("y", "yes")


def _run_all(page: Page, target: PageTarget, redactor: Redactor) -> list[tuple[Expected, str]]:
    """Run all steps and return what each was to print and printed."""
    from runbooks.cli.page_operator import ask_secrets
    from runbooks.cli.page_terminal import can_ask
    from runbooks.pages import Session, terminal_environment

    compared: list[tuple[Expected, str]] = []
    environ = terminal_environment(target.environ)
    ask_secrets(page, environ, redactor, can_ask=can_ask())
    progress = console(stderr=True)
    with Session(page, environ=environ, shown=target.shown) as session:
        for number, step in enumerate(page.steps, 1):
            progress.print(Text(f"Step {number} of {len(page.steps)}: {step.name}", "dim"))
            result = session.run(step)
            compared += result.compared
            if result.error and result.error.expected is None:
                console().print(Text(redactor(str(result.error)), "red"))
                raise typer.Exit(1)
    return compared
