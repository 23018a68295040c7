"""The command `kernie-gen`."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
from pathlib import Path
from typing import Annotated

import typer

from runbooks.kernie.errors import KernieError
from runbooks.kernie.options import Options

HELP = """A mock ComfyUI server: no GPU, no models, one command.

It answers as ComfyUI 0.33 does, runs the prompts it is sent and writes PNG files that it draws itself. Point your
client at the URL that it prints. To try it:

    kernie-gen --port 8189 --output-dir ./output

    curl http://127.0.0.1:8189/
"""
TAKEN = {errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL}

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(help=HELP)
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on. Anything but this machine's own is warned about.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one and prints it.")
    ] = 8189,
    output_dir: Annotated[Path | None, typer.Option(help="Where SaveImage writes.")] = None,
    input_dir: Annotated[Path | None, typer.Option(help="Where uploads go and LoadImage reads.")] = None,
    temp_dir: Annotated[Path | None, typer.Option(help="Where PreviewImage writes.")] = None,
    base_dir: Annotated[
        Path | None, typer.Option(help="Holds output, input, temp and user unless they are given.")
    ] = None,
    delay: Annotated[float, typer.Option(min=0, help="Seconds that the run of a prompt takes at least.")] = 0.5,
) -> None:
    """Start the mock and serve until Ctrl-C or SIGTERM."""
    chosen = Options(
        host=host,
        port=port,
        output_dir=output_dir,
        input_dir=input_dir,
        temp_dir=temp_dir,
        delay=delay,
        base_dir=base_dir or Options().base_dir,
    )
    try:
        asyncio.run(_serve(chosen))
    except KernieError as error:
        typer.echo(f"{error.what}\n{error.do}", err=True)
        raise typer.Exit(2) from None


async def _serve(options: Options) -> None:
    from runbooks.kernie.accesslog import write_line
    from runbooks.kernie.server import serving

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    try:
        async with serving(options) as (url, mock):
            if not options.is_loopback:
                typer.echo(f"Careful: {options.host} lets other machines use this server.", err=True)
            write_line(f"kernie-gen, a mock ComfyUI server, listens on {url}")
            write_line(f"Output folder: {mock.folders.output}")
            write_line(f"Mode: mock, a prompt takes at least {options.delay:g} s. Ctrl-C stops it.")
            await stop.wait()
    except OSError as error:
        if error.errno in TAKEN:
            raise KernieError(_taken(options, error), "Stop it, or choose another one with --port.") from None
        raise KernieError(
            f"Cannot start: {error.strerror}: {error.filename}.", "Choose a folder that you may write to."
        ) from None


def _taken(options: Options, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{options.host} is not an address of this machine."
    if error.errno == errno.EACCES:
        return f"You may not listen on port {options.port}."
    return f"Port {options.port} is taken{_holder(options.port)}."


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
