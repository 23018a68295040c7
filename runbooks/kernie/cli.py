"""The command `kernie-gen`."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from runbooks.kernie.errors import KernieError
from runbooks.kernie.options import Options

HELP = """A mock ComfyUI server: no GPU, no models, one command.

It answers as ComfyUI 0.33 does, runs the prompts it is sent and writes PNG files that it draws itself. Point your
client at the URL that it prints. For example:

    kernie-gen --port 8189 --output-dir ./output

    kernie-gen --models checkpoints=a.safetensors,b.safetensors --delay 5

    kernie-gen --fault slow:seconds=3,path=/history --fault oom:times=1

What it is doing: GET / and GET /kernie/requests. Faults while it runs: POST /kernie/faults.
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(help=HELP)
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own is warned about.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8189,
    output_dir: Annotated[Path | None, typer.Option(help="Where SaveImage writes.")] = None,
    input_dir: Annotated[Path | None, typer.Option(help="Where uploads go and LoadImage reads.")] = None,
    temp_dir: Annotated[Path | None, typer.Option(help="Where PreviewImage writes.")] = None,
    base_dir: Annotated[
        Path | None, typer.Option(help="Holds output, input, temp and user unless they are given.")
    ] = None,
    delay: Annotated[float, typer.Option(min=0, help="Seconds that the run of a prompt takes at least.")] = 0.5,
    speed: Annotated[float, typer.Option(min=0.001, help="Divides every wait of a run; 2 is twice as fast.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Makes ids, names and pictures repeatable.")] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(metavar="FOLDER=NAME,NAME", help="Exactly these models exist in a folder. May be repeated."),
    ] = None,
    nodes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE|PATH",
            help="Module, file or folder with own nodes, or custom nodes for ComfyUI. May be repeated.",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND[:KEY=VALUE,...]",
            help="A fault from the start, such as slow:times=2,seconds=1,path=/view. May be repeated.",
        ),
    ] = None,
) -> None:
    """Start the mock and serve until Ctrl-C or SIGTERM."""
    try:
        chosen = Options(
            host=host,
            port=port,
            base_dir=base_dir or Options().base_dir,
            output_dir=output_dir,
            input_dir=input_dir,
            temp_dir=temp_dir,
            delay=delay,
            speed=speed,
            seed=seed,
            models=dict(_bound(text) for text in models or ()),
            nodes=tuple(nodes or ()),
            faults=tuple(fault or ()),
        )
        asyncio.run(_serve(chosen))
    except KernieError as error:
        typer.echo(f"{error.what}\n{error.do}", err=True)
        raise typer.Exit(2) from None
    except ModuleNotFoundError as error:
        typer.echo(f"kernie-gen needs {error.name}.\nInstall it: pip install 'genonaut-runbooks[mock]'", err=True)
        raise typer.Exit(2) from None


def _bound(text: str) -> tuple[str, tuple[str, ...]]:
    """`checkpoints=a,b` as folder and names; nothing after the sign means none."""
    folder, sign, names = text.partition("=")
    if not folder or not sign:
        raise KernieError(f"--models cannot read {text!r}.", "Write --models FOLDER=NAME,NAME (or FOLDER= for none).")
    return folder, tuple(name for name in names.split(",") if name)


async def _serve(options: Options) -> None:
    # Imported here so that --help and mistakes are answered at once.
    from runbooks.kernie.accesslog import write_line
    from runbooks.kernie.server import serving

    # Requests must not wait until the thread that draws gives way: by default it may take 5 ms.
    sys.setswitchinterval(0.0005)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    try:
        async with serving(options) as (url, mock):
            for folder in options.models:
                _warn_of_typo(folder)
            if not options.is_loopback:
                typer.echo(f"Careful: on {options.host}, other machines can use this server.", err=True)
            write_line(f"kernie-gen, a mock ComfyUI server, listens on {url}")
            write_line(f"Output folder: {mock.folders.output}")
            write_line(f"Mode: mock; a prompt takes at least {options.delay:g} s. Ctrl-C stops it.")
            await stop.wait()
    except OSError as error:
        raise _mendable(options, error) from None


def _warn_of_typo(folder: str) -> None:
    """A folder that ComfyUI does not have is one of the user's own, or misspelt."""
    import difflib

    from runbooks.kernie.models import FOLDERS, OLD_NAMES

    known = [*FOLDERS, *OLD_NAMES]
    if folder not in known and (meant := difflib.get_close_matches(folder, known, 1)):
        typer.echo(f"Careful: --models {folder}= is a folder of its own. Did you mean {meant[0]}?", err=True)


def _mendable(options: Options, error: OSError) -> KernieError:
    """What the user did or met, in one sentence."""
    if error.errno == errno.EADDRINUSE:
        return KernieError(f"Port {options.port} is taken{_holder(options.port)}.", "Stop that, or choose --port.")
    if error.errno == errno.EADDRNOTAVAIL or error.filename is None:
        return KernieError(
            f"Cannot listen on {options.host}:{options.port}: {error.strerror}.", "Choose --host or --port."
        )
    return KernieError(f"Cannot use {error.filename}: {error.strerror}.", "Choose a folder that you may write to.")


def _holder(port: int) -> str:
    """` by pid 4242 (python3 …)`, if the operating system tells."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr[1:] == (port,) and each.pid:
                command = " ".join(psutil.Process(each.pid).cmdline())[:80]
                return f" by pid {each.pid} ({command})"
    return ""


def main() -> None:
    """Run the command."""
    app(prog_name="kernie-gen")


if __name__ == "__main__":
    main()
