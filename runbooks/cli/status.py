"""``runbooks status``: what runs, where, since when, and whether it answers."""

from __future__ import annotations

import shlex
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from runbooks.cli.output import JsonOption, RootOption, console, errors_as_json, print_json
from runbooks.cli.up import pages_of

if TYPE_CHECKING:
    from runbooks.lab.health import Health


def status(root: RootOption = Path(".lab"), as_json: JsonOption = False) -> None:
    """Show what runs, where, for how long, and whether it answers.

    Exit code 0: all is up. 1: something is down. 2: there is no lab in that folder.
    """
    from runbooks.lab import Lab
    from runbooks.lab.health import look_at_services
    from runbooks.lab.state import read_state

    with errors_as_json(as_json):
        state = read_state(root.expanduser().resolve())
    if state is None:
        if as_json:
            print_json({"ok": False, "root": root.expanduser().resolve(), "running": False, "services": []})
        start = f"runbooks up --root {shlex.quote(str(root))}" if root != Path(".lab") else "runbooks up"
        console(stderr=as_json).print(f"The lab in {root} is not running. Start it with: {start}", markup=False)
        raise typer.Exit(1)
    seen = look_at_services(state, Lab(state).services())
    ok = all(health.answers for health in seen)
    if as_json:
        print_json(
            {
                "ok": ok,
                "root": state.root,
                "running": True,
                "env_target": state.env_target,
                "incident": state.incident,
                "pages": pages_of(state.environment["API_URL"]),
                "services": [_as_object(health) for health in seen],
            }
        )
    else:
        _show(seen)
        url = pages_of(state.environment["API_URL"])["status"]
        console().print(f"What each of them runs with: {url}", markup=False)
    raise typer.Exit(0 if ok else 1)


def _as_object(health: Health) -> dict[str, object]:
    return {
        "name": health.service.name,
        "url": health.service.url,
        "pid": health.service.pid,
        "since": datetime.fromtimestamp(health.since).astimezone().isoformat() if health.since else None,
        "answers": health.answers,
        "problem": health.problem,
        "log": health.service.log,
    }


def _show(seen: list[Health]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("", "service", "where", "pid", "up for"):
        table.add_column(heading, header_style="bold", no_wrap=True)
    table.add_column("", overflow="fold")
    for health in seen:
        table.add_row(
            Text("✓", style="green") if health.answers else Text("✗", style="bold red"),
            health.service.name,
            Text(health.service.url),
            Text(str(health.service.pid or "")),
            Text(_ago(health.since) if health.since else ""),
            Text(health.problem or "", style="red"),
        )
    console().print(table)


def _ago(since: float) -> str:
    seconds = max(0, round(time.time() - since))
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds} s"
