"""What teams write by hand: a plain FastAPI mock of ComfyUI. The same routes, no validation, jobs in a dict.

It is quicker than most: every job is done at once, with one picture for all.
"""

from __future__ import annotations

import struct
import sys
import uuid
import zlib
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import Response

app = FastAPI()
jobs: dict[str, dict[str, Any]] = {}


def png(width: int, height: int) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x80\x80\x80" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PICTURE = png(512, 512)


@app.post("/prompt")
async def post_prompt(request: Request) -> dict[str, Any]:
    """Take a prompt."""
    body = await request.json()
    prompt_id = str(uuid.uuid4())
    name = f"{prompt_id}.png"
    jobs[prompt_id] = {
        "prompt": [len(jobs), prompt_id, body["prompt"], {}, ["9"]],
        "outputs": {"9": {"images": [{"filename": name, "subfolder": "", "type": "output"}]}},
        "status": {"status_str": "success", "completed": True, "messages": []},
    }
    return {"prompt_id": prompt_id, "number": len(jobs), "node_errors": {}}


@app.get("/history/{prompt_id}")
async def history(prompt_id: str) -> dict[str, Any]:
    """One job."""
    return {prompt_id: jobs[prompt_id]} if prompt_id in jobs else {}


@app.get("/view")
async def view(filename: str) -> Response:
    """A picture."""
    if filename.removesuffix(".png") not in jobs:
        raise HTTPException(404)
    return Response(PICTURE, media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]))
