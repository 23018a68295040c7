"""``runbooks up``: start the lab, show what runs where, stop it with Ctrl-C."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from runbooks.cli.output import JsonOption, RootOption, console, errors_as_json, print_json, stop_on_signals

if TYPE_CHECKING:
    from runbooks.lab import Lab, Progress

IncidentOption = Annotated[
    bool, typer.Option("--incident", help="Start in the incident's state: API on the new URL, worker on the old one.")
]
StateOption = Annotated[
    str, typer.Option("--state", help="Start with a trouble to practise on, as a page's front matter names it.")
]
FreePortsOption = Annotated[
    bool, typer.Option("--free-ports", help="Choose free ports instead of 8001, 8189, 8000 and 8010.")
]
DetachOption = Annotated[bool, typer.Option("--detach", "-d", help="Leave it running and return.")]
SiteOption = Annotated[
    Path | None, typer.Option("--site", help="Serve this folder, a built site, on 8010.", metavar="DIR")
]
TargetOption = Annotated[str, typer.Option("--env-target", help="The lab's ENV_TARGET.")]


def up(
    root: RootOption = Path(".lab"),
    incident: IncidentOption = False,
    state: StateOption = "healthy",
    free_ports: FreePortsOption = False,
    detach: DetachOption = False,
    site: SiteOption = None,
    env_target: TargetOption = "local-demo",
    as_json: JsonOption = False,
) -> None:
    """Start the lab: broker, mock ComfyUI, API and worker.

    It stays in the foreground: Ctrl-C stops everything, a second Ctrl-C at once.

    Files in the lab's folder that you have edited are put back, and your versions are kept.

    With REDIS_URL or DATABASE_URL set, it uses those servers: an empty Redis database, a PostgreSQL schema of its own.
    """
    from runbooks.lab.states import start_in_state

    stop_on_signals()
    out = console(stderr=as_json)
    with errors_as_json(as_json):
        with _show_progress(out) as listen:
            state = "incident" if incident else state
            lab = start_in_state(
                state, root, free_ports=free_ports, env_target=env_target, site=site, on_progress=listen
            )
        try:
            if as_json:
                print_json(as_object(lab))
            _say_what_next(out, lab, state, root, detach)
            if detach:
                lab.detach()
                return
            lab.wait(say=lambda text: out.print(text, markup=False))
            out.print("Another command has stopped the lab.")
            lab.stop()
        except KeyboardInterrupt:
            out.print("\nStopping the lab. Ctrl-C again: at once, without waiting for a running job.")
            lab.stop(say=lambda text: out.print(text, markup=False))
            out.print("Stopped; nothing is left running.")
            raise


def as_object(lab: Lab) -> dict[str, Any]:
    """A lab as ``--json`` shows it: every URL, pid and folder, and no password."""
    from runbooks.lab.backends import without_password

    return {
        "ok": True,
        "root": lab.root,
        "env_target": lab.state.env_target,
        "incident": lab.state.incident,
        "pages": pages_of(lab.environment()["API_URL"]),
        "services": [
            {"name": service.name, "url": service.url, "pid": service.pid, "log": service.log}
            for service in lab.services()
        ],
        "environment": {name: without_password(value) for name, value in lab.environment().items()},
    }


def pages_of(api_url: str) -> dict[str, str]:
    """The API's pages for people, by name."""
    return {"generate": f"{api_url}/", "status": f"{api_url}/status"}


@contextmanager
def _show_progress(out: Console) -> Iterator[Any]:
    """A table that fills on a terminal, a line for each service elsewhere."""
    if not out.is_terminal:

        def listen(progress: Progress) -> None:
            if progress.status == "note":
                out.print(progress.text, markup=False)
            elif progress.status == "up":
                pid = f"pid {progress.pid}, " if progress.pid else ""
                line = f"{progress.service:<7} up at {progress.text} ({pid}{progress.seconds:.1f} s)"
                out.print(line, markup=False)

        yield listen
        return

    seen: dict[str, Progress] = {}
    with Live(console=out, refresh_per_second=12) as live:

        def listen_live(progress: Progress) -> None:
            if progress.status == "note":
                live.console.print(progress.text, markup=False)
            else:
                seen[progress.service] = progress
            live.update(_table(seen))

        yield listen_live


def _table(seen: dict[str, Progress]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("", "service", "where", "pid", "after", "log"):
        table.add_column(heading, header_style="bold", no_wrap=heading != "log", overflow="fold")
    for progress in seen.values():
        up = progress.status == "up"
        table.add_row(
            Text("✓", style="green") if up else Spinner("dots"),
            progress.service,
            Text(progress.text),
            Text(str(progress.pid or "")),
            Text(f"{progress.seconds:.1f} s" if up else ""),
            Text(_short(progress.log), style="dim"),
        )
    return table


def _short(log: Path | None) -> str:
    """A log's path from here, so that the table fits a terminal; the whole path where that is no shorter."""
    if log is None:
        return ""
    return min(str(log), os.path.relpath(log), key=len)


def _say_what_next(out: Console, lab: Lab, state: str, root: Path, detach: bool) -> None:
    from runbooks.lab.layout import ENVIRONMENT_FILE
    from runbooks.lab.troubles import TROUBLES

    names = {service.name: service for service in lab.state.services}
    out.print()
    if "site" in names:
        out.print(f"Open {names['site'].url}/ and begin with “The mock gets no requests”.", markup=False)
    pages = pages_of(lab.environment()["API_URL"])
    out.print(
        f"Generate a picture at {pages['generate']}, and see what runs with what at {pages['status']}", markup=False
    )
    if state == "incident":
        out.print(f"This is the incident: the file says {lab.environment()['MOCK_URL']}, and the worker does not know.")
    elif state not in TROUBLES:
        out.print("All is well: a job that you create now completes.")
    if lab.environment()["API_URL"] != "http://127.0.0.1:8001":
        out.print("In another terminal, point the pages' commands at this lab:", markup=False)
        out.print(f"  . {shlex.quote(str(lab.root / ENVIRONMENT_FILE))}", markup=False)
    if shutil.which("runbooks") is None:
        out.print("In another terminal, let it find the command runbooks:", markup=False)
        out.print(f'  export PATH="{Path(sys.argv[0]).resolve().parent}:$PATH"', markup=False)
    stop = f"runbooks down --root {shlex.quote(str(root))}" if root != Path(".lab") else "runbooks down"
    out.print(f"Stop it with: {stop}" if detach else f"Stop it with Ctrl-C here, or from anywhere with: {stop}")
