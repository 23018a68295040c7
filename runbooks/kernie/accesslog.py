"""The access log, in the lines that uvicorn writes: people and pages grep for them."""

from __future__ import annotations

import sys

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

SWITCHING_PROTOCOLS = 101


def write_line(line: str) -> None:
    """Write a line to standard output at once; a reader that has gone away is no reason to stop."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115, PTH123 - stays open for the rest of the process


def peer(request: web.BaseRequest) -> str:
    """Address and port of the client, as uvicorn shows them."""
    name = request.transport.get_extra_info("peername") if request.transport is not None else None
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else f"{request.remote}:0"


class UvicornAccessLogger(AbstractAccessLogger):
    """`INFO:     127.0.0.1:50000 - "POST /prompt HTTP/1.1" 200 OK`."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:  # noqa: ARG002
        """Write the line of an answered request. A WebSocket has its own line."""
        if response.status == SWITCHING_PROTOCOLS:
            return
        major, minor = request.version
        asked = f"{request.method} {request.raw_path} HTTP/{major}.{minor}"
        write_line(f'INFO:     {peer(request)} - "{asked}" {response.status} {response.reason}')
