"""`/upload/image` and `/upload/mask`."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

from aiohttp import web
from PIL import Image

from runbooks.kernie.answers import empty, json_answer, mock_of
from runbooks.kernie.files import Folders, OutsideFolderError, inside
from runbooks.kernie.nodes.saving import png_texts

ROUTES = web.RouteTableDef()


class _Refused(Exception):  # noqa: N818 - carries the answer, is no error of ours
    """The status that the upload is answered with."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@ROUTES.post("/upload/image")
async def upload_image(request: web.Request) -> web.Response:
    """Keep a picture. The same name with other bytes gets a number, unless `overwrite` is `true` or `1`."""
    form = await request.post()
    try:
        target = _Target(mock_of(request).folders, form)
        data = await asyncio.to_thread(target.image.file.read)
        path = target.path if target.overwrite else await asyncio.to_thread(_free_name, target.path, data)
        await asyncio.to_thread(_write, path, data)
    except _Refused as refused:
        return empty(refused.status)
    return json_answer({"name": path.name, "subfolder": target.subfolder, "type": target.kind})


@ROUTES.post("/upload/mask")
async def upload_mask(request: web.Request) -> web.Response:
    """Keep a picture that has its colours from `original_ref` and its transparency from the upload."""
    form = await request.post()
    folders = mock_of(request).folders
    try:
        target = _Target(folders, form)
        original = _original(folders, json.loads(str(form["original_ref"])))
        if original.is_file():
            data = await asyncio.to_thread(_masked, original, target.image.file.read())
            await asyncio.to_thread(_write, target.path, data)
    except _Refused as refused:
        return empty(refused.status)
    return json_answer({"name": target.path.name, "subfolder": target.subfolder, "type": target.kind})


class _Target:
    """Where an upload goes.

    Raises:
        AttributeError, TypeError: for a field that is no file, or a type that is none: 500, as on the real server.
    """

    def __init__(self, folders: Folders, form: Any) -> None:
        self.image: web.FileField = form.get("image")
        if not (self.image and self.image.file):
            raise _Refused(400)
        self.kind = form.get("type") or "input"
        self.subfolder = str(form.get("subfolder", ""))
        self.overwrite = form.get("overwrite") in ("true", "1")
        folder = folders.by_type(self.kind)
        if folder is None:
            raise TypeError(f"no such type: {self.kind}")
        try:
            inner = inside(folder, self.subfolder)
            self.path = inside(inner, self.image.filename)
        except (OutsideFolderError, ValueError):
            raise _Refused(400) from None


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


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _original(folders: Folders, reference: dict[str, Any]) -> Path:
    name, folder = folders.annotated(reference["filename"])
    folder = folder or folders.by_type(reference.get("type", "output"))
    if not name or name.startswith("/") or ".." in name or folder is None:
        raise _Refused(400)
    try:
        return inside(inside(folder, reference.get("subfolder", "")), Path(name).name)
    except (OutsideFolderError, ValueError):
        raise _Refused(403) from None


def _masked(original: Path, mask: bytes) -> bytes:
    with Image.open(original) as picture, Image.open(io.BytesIO(mask)) as alpha:
        result = picture.convert("RGBA")
        result.putalpha(alpha.convert("RGBA").getchannel("A"))
        out = io.BytesIO()
        result.save(out, "PNG", compress_level=4, pnginfo=png_texts(getattr(picture, "text", {})))
        return out.getvalue()
