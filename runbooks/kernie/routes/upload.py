"""`/upload/image` and `/upload/mask`."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from PIL import Image

from runbooks.kernie.answers import empty, json_answer, mock_of
from runbooks.kernie.files import Folders, OutsideFolderError, inside, write_whole
from runbooks.kernie.png import png

ROUTES = web.RouteTableDef()


@ROUTES.post("/upload/image")
async def upload_image(request: web.Request) -> web.Response:
    """Keep a picture. The same name with other bytes gets a number, unless `overwrite` is `true` or `1`."""
    return await _keep(request, lambda _, data: data)


@ROUTES.post("/upload/mask")
async def upload_mask(request: web.Request) -> web.Response:
    """Keep a picture that has its colours from `original_ref` and its transparency from the upload."""
    folders = mock_of(request).folders

    def masked(form: Any, data: bytes) -> bytes | None:
        original = _original(folders, json.loads(form.get("original_ref")))
        return _masked(original, data) if original is not None and original.is_file() else None

    return await _keep(request, masked)


async def _keep(request: web.Request, change: Callable[[Any, bytes], bytes | None]) -> web.Response:
    """Write what `change` makes of the upload; None writes nothing, and is answered as if it had been written."""
    form = await request.post()
    target = _Target(mock_of(request).folders, form)
    if target.path is None:
        return empty(400)
    data = await asyncio.to_thread(target.image.file.read)
    path = target.path if target.overwrite else await asyncio.to_thread(_free_name, target.path, data)
    content = await asyncio.to_thread(change, form, data)
    if content is not None:
        await asyncio.to_thread(write_whole, path, content)
    return json_answer({"name": path.name, "subfolder": target.subfolder, "type": target.kind})


class _Target:
    """Where an upload goes; its path is None if it may not go there, or if there is none.

    Raises:
        AttributeError, TypeError: for a field that is no file, or a type that is none: 500, as on the real server.
    """

    def __init__(self, folders: Folders, form: Any) -> None:
        self.kind = form.get("type", "input")
        folder = folders.by_type(self.kind)
        if folder is None:
            raise TypeError(f"no such type: {self.kind}")
        self.subfolder = form.get("subfolder", "")
        self.overwrite = form.get("overwrite") in ("true", "1")
        self.image: web.FileField = form.get("image")
        self.path: Path | None = None
        if self.image and self.image.file:
            with contextlib.suppress(OutsideFolderError, ValueError):
                self.path = inside(folder, self.subfolder, self.image.filename)


def _free_name(path: Path, data: bytes) -> Path:
    """`x.png`, `x (1).png` and so on: the first that is free or holds the same bytes."""
    number = 0
    candidate = path
    while candidate.exists():
        if candidate.is_file() and candidate.stat().st_size == len(data) and candidate.read_bytes() == data:
            break
        number += 1
        candidate = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return candidate


def _original(folders: Folders, reference: dict[str, Any]) -> Path | None:
    """The file that a reference names, or None if it may not be read."""
    name, folder = folders.annotated(reference["filename"])
    folder = folder or folders.by_type(reference.get("type", "output"))
    if not name or folder is None:
        return None
    try:
        return inside(folder, reference.get("subfolder", ""), name)
    except (OutsideFolderError, ValueError):
        return None


def _masked(original: Path, mask: bytes) -> bytes:
    with Image.open(original) as picture, Image.open(io.BytesIO(mask)) as alpha:
        result = picture.convert("RGBA")
        result.putalpha(alpha.convert("RGBA").getchannel("A"))
        return png(result, getattr(picture, "text", {}))
