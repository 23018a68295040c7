"""``runbooks doctor``: one look, the verdict first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from runbooks.cli.output import JsonOption, console, errors_as_json, print_json

if TYPE_CHECKING:
    from rich.console import Console

ROOT_HELP = "Folder with config/ and env/. Default: GENONAUT_ROOT, else this folder, else its .lab."
STYLES = {"✓": "bold green", "✗": "bold red", "!": "bold yellow", "?": "bold yellow"}


def doctor(
    env_target: Annotated[str, typer.Option(envvar="ENV_TARGET", help="Which target is meant.")] = "local-demo",
    root: Annotated[Path | None, typer.Option(help=ROOT_HELP, metavar="DIR")] = None,
    app: Annotated[
        str | None, typer.Option(help="The Celery application, as given to -A. Default: Genonaut's.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which process holds what, what answers, what is wrong and what cures it. Nothing is touched.

    Works on any installation, also on one that knows nothing of this, in about a second.

    Exit code 0: fine. 1: findings. 2: it could not be told, or was asked wrongly.
    """
    from runbooks.doctor import examine
    from runbooks.doctor.words import words_of
    from runbooks.workers import DEFAULT_APP

    with errors_as_json(as_json):
        diagnosis = examine(root, env_target, app=app or DEFAULT_APP)
    if as_json:
        print_json(diagnosis.as_json())
    else:
        _show(console(), list(words_of(diagnosis)))
    raise typer.Exit(diagnosis.exit_code)


def _show(out: Console, lines: list[str]) -> None:
    for line in lines:
        # The mark and the words say it; colour only helps.
        out.print(Text(line, style=STYLES.get(line[:1], "")))
