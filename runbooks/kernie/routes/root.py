"""`GET /`: what this is."""

from __future__ import annotations

import time
from importlib import metadata

from aiohttp import web

from runbooks.kernie.answers import json_answer, mock_of

ROUTES = web.RouteTableDef()

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>kernie-gen</title>
<style>body{{font:16px/1.5 system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}}</style>
<h1>kernie-gen</h1><p>A mock ComfyUI server: it answers as ComfyUI does and draws its pictures itself.</p>
<p>Version {version}, up for {uptime:.0f} s, {received} prompts received.</p></html>"""


def version() -> str:
    """The version of the package that is installed."""
    try:
        return metadata.version("genonaut-runbooks")
    except metadata.PackageNotFoundError:
        return "0+unknown"


@ROUTES.get("/")
@ROUTES.get("/api/")
async def root(request: web.Request) -> web.Response:
    """JSON for programs, a small page for browsers."""
    mock = mock_of(request)
    queue = mock.queue
    about = {
        "status": "ok",
        "server": "Mock ComfyUI Server",
        "name": "kernie-gen",
        "version": version(),
        "mode": "mock",
        "uptime": round(time.monotonic() - mock.started, 3),
        "counts": {
            "received": mock.counts["received"],
            "queued": len(queue.waiting),
            "running": int(queue.running is not None),
            "completed": mock.counts["completed"],
            "failed": mock.counts["failed"],
        },
        "output_dir": str(mock.folders.output),
    }
    if "text/html" in request.headers.get("Accept", ""):
        text = PAGE.format(version=about["version"], uptime=about["uptime"], received=mock.counts["received"])
        return web.Response(text=text, content_type="text/html")
    return json_answer(about)
