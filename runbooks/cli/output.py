"""What the commands share: how they speak, and how they end."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from runbooks.errors import UserError

RootOption = Annotated[Path, typer.Option("--root", help="The lab's folder.", envvar="GENONAUT_ROOT", metavar="DIR")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, everything else on stderr.")]


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP: stop as for Ctrl-C, with the exit code that a shell expects."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def stop_on_signals() -> None:
    """Make SIGTERM and SIGHUP raise ``Stopped``, and SIGINT ``KeyboardInterrupt`` also where a shell had it ignored."""

    def stop(number: int, _frame: object) -> None:
        raise Stopped(number)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it ignored
        signal.signal(signal.SIGHUP, stop)


def console(*, stderr: bool = False) -> Console:
    """A console that prints what it is given: no colours guessed from words, no lines cut.

    NO_COLOR is taken at its word: nothing bold or dim either.
    """
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(stderr=stderr, highlight=False, soft_wrap=True, color_system=colours)


def printable(text: str) -> str:
    """Return a text that cannot do anything to a terminal: no control characters but line ends and tabs."""
    from runbooks.pages.expected import plain_text

    text = plain_text(text.encode("utf-8", "backslashreplace"))
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text)


def show_error(error: UserError) -> None:
    """Print a user's error on standard error: what happened, and what to do."""
    out = console(stderr=True)
    out.print(printable(error.what), style="bold red", markup=False)
    out.print(printable(error.do), markup=False)


def print_json(data: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(data, indent=2, default=str))


@contextmanager
def errors_as_json(as_json: bool) -> Iterator[None]:
    """With ``--json``, let a user's error be the one object on standard output, too."""
    try:
        yield
    except UserError as error:
        if as_json:
            print_json({"ok": False, "error": {"what": error.what, "do": error.do}})
        raise
