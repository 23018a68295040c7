"""``runbooks history``: the recorded runs of pages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from runbooks.cli.output import JsonOption, console, print_json, printable
from runbooks.errors import UserError

if TYPE_CHECKING:
    from runbooks.pages.records import PastRun

_STYLES = {"passed": "green", "failed": "bold red", "killed": "bold red", "interrupted": "yellow", "skipped": "yellow"}


def history(
    run_id: Annotated[
        str, typer.Argument(help="Show this run; the beginning of its id will do.", metavar="[RUN]", show_default=False)
    ] = "",
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many runs to list.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the runs of pages, the newest first, or show one step by step.

    Records are JSON lines with a JUnit report beside them, without secrets, and only you can read them.
    """
    from runbooks.pages.records import read_runs, runs_folder

    runs = read_runs(runs_folder())
    if run_id:
        found = [run for run in runs if run.id.startswith(run_id)]
        if not found:
            raise UserError(f"There is no record of a run '{run_id}'.", "List them with: runbooks history")
        if as_json:
            print_json(_as_object(found[0], whole=True))
        else:
            _show(found[0])
    elif as_json:
        print_json({"runs": [_as_object(run) for run in runs[:last]]})
    elif not runs:
        console().print(f"No runs are recorded in {runs_folder()}.", markup=False)
    else:
        _list(runs[:last])


def _list(runs: list[PastRun]) -> None:
    """Print two lines a run: its id can be copied from a terminal of any width."""
    out = console()
    for run in runs:
        passed = sum(step.result == "passed" for step in run.steps)
        outcome = Text(run.outcome, _STYLES.get(run.outcome, ""))
        out.print(Text.assemble(f"{run.id}  ", outcome, f", {passed} of {len(run.about.get('planned', ()))} steps"))
        out.print(Text(printable(f"  {_when(run.about['at'])}, {run.about['page']}, {run.about['target']}"), "dim"))


def _show(run: PastRun) -> None:
    out = console()
    about = run.about
    head = f"{about['page']} against {about['target']}, by {about['user']} on {about['host']}"
    out.print(printable(head), markup=False)
    out.print(f"{_when(about['at'])} to {_when(run.ended)}: {run.outcome}", markup=False)
    for step in run.steps:
        result = step.result or "under way when the run was killed"
        out.print()
        out.print(Text(f"{step.name} (line {step.line}): {result}, {step.seconds:.1f} s", _STYLES.get(result, "")))
        for mark, text in (("$", step.code), ("|", step.output), ("!", step.error)):
            for line in text.splitlines():
                out.print(Text(f"  {mark} {printable(line)}"))
    out.print()
    out.print(Text(f"Record: {run.path}\nJUnit:  {run.path.with_suffix('.xml')}", style="dim"))


def _as_object(run: PastRun, *, whole: bool = False) -> dict[str, object]:
    shown = {"id": run.id, "result": run.outcome, "ended": run.ended, "record": str(run.path)}
    about = {name: run.about.get(name) for name in ("page", "target", "user", "host", "at", "planned")}
    return {**about, **shown, **({"steps": [vars(step) for step in run.steps]} if whole else {})}


def _when(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
