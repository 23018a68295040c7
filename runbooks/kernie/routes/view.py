"""`/view`: pictures and other files, whole, in part, as a preview, or one channel."""

from __future__ import annotations

import asyncio
import io
import mimetypes
from pathlib import Path

from aiohttp import web
from PIL import Image

from runbooks.kernie.answers import empty, mock_of
from runbooks.kernie.files import ACTIVE_TYPES, OutsideFolderError, inside

ROUTES = web.RouteTableDef()
PREVIEW_FORMATS = ("webp", "jpeg")
DEFAULT_QUALITY = 90


@ROUTES.get("/view")
async def view(request: web.Request) -> web.StreamResponse:
    """Answer with a file of the output, input or temp folder."""
    query = request.query
    if "filename" not in query:
        return empty(404)
    name, folder = mock_of(request).folders.annotated(query["filename"])
    if not name or name.startswith("/") or ".." in name:
        return empty(400)
    if folder is None:
        folder = mock_of(request).folders.by_type(query.get("type", "output"))
    if folder is None:
        return empty(400)
    try:
        path = inside(inside(folder, query.get("subfolder", "")), Path(name).name)
    except (OutsideFolderError, ValueError):
        return empty(403)
    if not path.is_file():
        return empty(404)
    return await _answer(request, path)


async def _answer(request: web.Request, path: Path) -> web.StreamResponse:
    query = request.query
    channel = query.get("channel", "rgba")
    named = {"Content-Disposition": f'filename="{_quoted(path.name)}"'}
    if "preview" in query:
        kind, quality = _preview_wish(query["preview"], query.get("channel", ""))
        body = await asyncio.to_thread(_preview, path, kind, quality, channel)
        return web.Response(body=body, content_type=f"image/{kind}", headers=named)
    if channel in ("rgb", "a"):
        body = await asyncio.to_thread(_channel, path, channel)
        return web.Response(body=body, content_type="image/png", headers=named)
    return _file(path, request.headers.get("Sec-Fetch-Dest"))


def _preview_wish(wish: str, channel: str) -> tuple[str, int]:
    """`jpeg;50` as format and quality; WebP where nothing better is said."""
    kind, _, quality = wish.partition(";")
    if kind not in PREVIEW_FORMATS or "a" in channel:
        kind = "webp"
    return kind, int(quality) if quality.isdigit() else DEFAULT_QUALITY


def _preview(path: Path, kind: str, quality: int, channel: str) -> bytes:
    with Image.open(path) as picture:
        shown = picture.convert("RGB") if kind == "jpeg" or channel == "rgb" else picture
        out = io.BytesIO()
        shown.save(out, kind, quality=quality)
        return out.getvalue()


def _channel(path: Path, channel: str) -> bytes:
    with Image.open(path) as picture:
        if channel == "rgb":
            shown = picture.convert("RGB")
        else:
            alpha = picture.getchannel("A") if "A" in picture.getbands() else Image.new("L", picture.size, 255)
            shown = Image.new("RGBA", picture.size)
            shown.putalpha(alpha)
        shown.info.clear()
        out = io.BytesIO()
        shown.save(out, "PNG")
        return out.getvalue()


def _quoted(name: str) -> str:
    """A file name as a header has it."""
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _file(path: Path, destination: str | None) -> web.FileResponse:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    named = f'filename="{_quoted(path.name)}"'
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": named}
    if kind in ACTIVE_TYPES:
        headers |= {"Vary": "Sec-Fetch-Dest", "Cache-Control": "no-store"}
        # An SVG inside <img> runs nothing.
        if (kind, destination) != ("image/svg+xml", "image"):
            kind = "application/octet-stream"
            headers["Content-Disposition"] = f"attachment; {named}"
    return web.FileResponse(path, headers={**headers, "Content-Type": kind})
