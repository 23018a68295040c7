"""The command ``runbooks``. Commands import what they need when they run, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from runbooks import __version__
from runbooks.cli.check import check
from runbooks.cli.doctor import doctor
from runbooks.cli.down import down
from runbooks.cli.drill import drill
from runbooks.cli.history import history
from runbooks.cli.output import Stopped, show_error
from runbooks.cli.status import status
from runbooks.cli.up import up
from runbooks.cli.update import update
from runbooks.errors import UserError

LAB, HELPERS, PAGES = "The lab", "On any installation", "Pages"
EXTRAS = {"aiohttp": "mock", "PIL": "mock"}


class Commands(TyperGroup):
    """The commands, with one way to end for every mistake: a sentence on standard error and exit code 2."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load a command that takes long to import when it is asked for, not for the list of ``--help``."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in LOADED_WHEN_USED and command is not None:
            command = LOADED_WHEN_USED[name]()
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            show_error(error)
            ctx.exit(2)
        except ModuleNotFoundError as error:
            missing = (error.name or "").split(".")[0]
            if not missing or missing == "runbooks":
                raise
            extra = EXTRAS.get(missing, "lab")
            show_error(
                UserError(
                    f"This command needs the Python package {missing}, which is not installed.",
                    f"Install it: pip install 'genonaut-runbooks[{extra}]'",
                )
            )
            ctx.exit(2)
        except Stopped as signalled:
            ctx.exit(128 + signalled.number)
        except KeyboardInterrupt:
            ctx.exit(130)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with `runbooks up --incident` and the page “The mock gets no requests”, "
    "or watch it all in a minute: `runbooks drill`",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"runbooks {__version__}")
        raise typer.Exit


@app.callback()
def runbooks(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Runbooks whose every step is proven, and a lab to practise them on.

    The lab is the whole stack of one real incident: a broker, a mock ComfyUI, an API and a Celery worker.

    Exit codes: 0 fine, 1 something expected was not seen, 2 it could not be done, 130 Ctrl-C.
    """


app.command(
    rich_help_panel=LAB,
    epilog="Beside another stack, in the background: `runbooks up --free-ports --detach`",
)(up)
app.command(rich_help_panel=LAB)(status)
app.command(rich_help_panel=LAB)(down)
app.command(rich_help_panel=LAB)(drill)
app.command(rich_help_panel=HELPERS)(doctor)


@app.command("restart-worker", rich_help_panel=HELPERS)
def restart_worker_listed() -> None:
    """Restart one Celery worker so that it holds what the files say now, and lose no job."""


@app.command("mock", rich_help_panel=HELPERS)
def mock_listed() -> None:
    """A mock ComfyUI server: no GPU, no models, one command."""


@app.command("run", rich_help_panel=PAGES)
def run_listed() -> None:
    """Run a page step by step: its text, its command, what it prints, and whether that was expected."""


app.command(rich_help_panel=PAGES)(check)
app.command(rich_help_panel=PAGES)(update)
app.command(rich_help_panel=PAGES)(history)


def _load_run() -> Any:
    from runbooks.cli.run import run as command

    return _single(command, "run")


def _load_restart_worker() -> Any:
    from runbooks.cli.restart_worker import restart_worker as command

    return _single(command, "restart-worker")


def _load_mock() -> Any:
    from runbooks.kernie import cli

    return typer.main.get_command(cli.app)


def _single(function: Any, name: str) -> Any:
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    single.command(name)(function)
    return typer.main.get_command(single)


LOADED_WHEN_USED = {"restart-worker": _load_restart_worker, "run": _load_run, "mock": _load_mock}


def main() -> None:
    """Run the command line."""
    app()
