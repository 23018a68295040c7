"""``runbooks run PAGE``: a page, step by step, against the lab or a real installation."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from runbooks.cli.output import RootOption, stop_on_signals
from runbooks.cli.page_argument import PageArgument, read_page
from runbooks.cli.page_target import open_target
from runbooks.pages.plan import Choice

TargetOption = Annotated[
    str, typer.Option("--target", help="lab: the one that is up, else one of its own. live: what the environment says.")
]
EnvFileOption = Annotated[
    Path | None, typer.Option("--env-file", help="NAME=value lines on top of the environment.", metavar="FILE")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="With --target lab: one of its own even if one is up.")]


def run(
    page: PageArgument,
    target: TargetOption = "live",
    env_file: EnvFileOption = None,
    fresh: FreshOption = False,
    root: RootOption = Path(".lab"),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; stop at the first step that fails.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show every step and execute nothing.")] = False,
    start: Annotated[str, typer.Option("--from", help="Begin with this step: number, name or section.")] = "",
    until: Annotated[str, typer.Option("--until", help="End with this step.")] = "",
    only_checks: Annotated[
        bool, typer.Option("--only-checks", help="Only the steps that change nothing: a health check.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the last run of this page ended.")] = False,
    with_rollback: Annotated[
        bool | None,
        typer.Option(
            "--with-roll-back/--without-roll-back",
            help="Run the roll-back steps too. Default: only in a lab of its own.",
        ),
    ] = None,
) -> None:
    """Run a page step by step: its text, its command, what it prints, and whether that was expected.

    A step that changes something waits for your yes. One that fails shows what its page says about that,
    and you try again, skip it, roll back or stop. Every run is recorded: see runbooks history.

    Exit code 0: every step went as the page says. 1: one did not, or you stopped. 2: it cannot be run. 130: Ctrl-C.
    """
    from runbooks.cli.page_operator import Operator

    stop_on_signals()
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup: for this command, not for what the steps start
        signal.signal(signal.SIGHUP, lambda *_: None)
    found = read_page(page)
    with open_target(target, found, root=root, fresh=fresh, env_file=env_file, needs_lab=not dry_run) as page_target:
        operator = Operator(found, page_target, yes=yes)
        rehearses = page_target.is_temporary if with_rollback is None else with_rollback
        choice = Choice(start, until, only_checks, rehearses)
        if dry_run:
            operator.show(choice)
            return
        result = operator.run(choice, resume=resume)
    raise typer.Exit(0 if result == "passed" else 1)
