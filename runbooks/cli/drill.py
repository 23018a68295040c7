"""``runbooks drill``: the whole incident in the terminal, in under a minute."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from runbooks.cli.output import JsonOption, console, errors_as_json, print_json, stop_on_signals

if TYPE_CHECKING:
    from runbooks.lab.drill import Seen

SkipOption = Annotated[
    bool, typer.Option("--skip-restart", help="Leave the cure out, to see that the drill notices: it ends with 1.")
]


def drill(skip_restart: SkipOption = False, as_json: JsonOption = False) -> None:
    """Play the whole incident, from symptom to cure.

    In a lab of its own, on free ports, in well under a minute; it leaves nothing behind.

    Exit code 0: everything expected was seen. 1: something was not.
    """
    from runbooks.lab.drill import Drill, Listener

    stop_on_signals()
    out = console(stderr=as_json)

    def step(number: int, title: str, why: str) -> None:
        out.print(Text(f"\n{number}. {title}", style="bold"))
        out.print(Text(f"   {why}", style="dim"))

    def seen(result: Seen) -> None:
        mark = Text("   ✓ ", style="green") if result.ok else Text("   ✗ ", style="bold red")
        out.print(mark + Text(f"{result.expected} ") + Text(f"({result.seen})", style="dim" if result.ok else "red"))

    began = time.monotonic()
    played = Drill(Listener(step, seen), skip_restart=skip_restart)
    with errors_as_json(as_json):
        played.run()
    seconds = time.monotonic() - began
    missed = sum(not result.ok for result in played.results)
    if as_json:
        results = [asdict(result) for result in played.results]
        print_json({"ok": played.ok, "seconds": round(seconds, 1), "expected": results})
    out.print()
    if played.ok:
        out.print(
            Text(f"Everything expected was seen, {len(played.results)} things in {seconds:.0f} s.", style="bold green")
        )
    else:
        out.print(Text(f"{missed} of {len(played.results)} expected things were not seen.", style="bold red"))
    raise typer.Exit(0 if played.ok else 1)
