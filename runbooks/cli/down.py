"""``runbooks down``: stop the lab, whatever became of the terminal that started it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runbooks.cli.output import JsonOption, RootOption, console, errors_as_json, print_json

KillOption = Annotated[
    bool, typer.Option("--kill", help="At once, with SIGKILL. A running job stays `running` for ever.")
]


def down(root: RootOption = Path(".lab"), kill: KillOption = False, as_json: JsonOption = False) -> None:
    """Stop the lab, whoever started it; its folder stays.

    The worker gets 15 s for its running job, everything else 5 s. What is left is killed then, and you are told.

    Only processes that carry this lab's mark in their environment are touched.
    """
    from runbooks.lab import stop_folder

    out = console(stderr=as_json)
    with errors_as_json(as_json):
        stopped = stop_folder(root, kill=kill, say=lambda text: out.print(text, markup=False))
    if as_json:
        print_json({"ok": True, "root": root.expanduser().resolve(), "stopped": stopped})
    elif stopped:
        out.print(f"Stopped {stopped} processes; nothing of the lab in {root} is left running.", markup=False)
    else:
        out.print(f"Nothing of the lab in {root} was running.", markup=False)
