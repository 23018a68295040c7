"""`/userdata`, `/settings`, `/users`: what a frontend keeps on the server.

No recordings: as read in ComfyUI's `app/user_manager.py` (commit d14a1717) and `app/app_settings.py` (6a967100).
"""

from __future__ import annotations

import mimetypes
import shutil
import urllib.parse
from pathlib import Path
from typing import Any

from aiohttp import web

from runbooks.kernie.answers import empty, json_answer, json_body, mock_of
from runbooks.kernie.files import ACTIVE_TYPES, OutsideFolderError, write_whole
from runbooks.kernie.userdata import UserData, described

ROUTES = web.RouteTableDef()


def _data(request: web.Request) -> UserData:
    return mock_of(request).userdata


def _text(status: int, text: str = "") -> web.Response:
    return web.Response(status=status, text=text) if text else empty(status)


def _is_true(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() == "true"


@ROUTES.get("/users")
async def users(request: web.Request) -> web.Response:
    """One user, data on the server."""
    return json_answer({"storage": "server", "migrated": _data(request).folder.exists()})


@ROUTES.get("/settings")
async def settings(request: web.Request) -> web.Response:
    """All settings."""
    return json_answer(_data(request).settings())


@ROUTES.get("/settings/{name}")
async def one_setting(request: web.Request) -> web.Response:
    """One setting, null if it was never set."""
    return json_answer(_data(request).settings().get(request.match_info["name"]))


@ROUTES.post("/settings")
async def change_settings(request: web.Request) -> web.Response:
    """Add the settings of the body."""
    new = await json_body(request)
    _data(request).save_settings({**_data(request).settings(), **new})
    return empty()


@ROUTES.post("/settings/{name}")
async def change_setting(request: web.Request) -> web.Response:
    """Set one."""
    value = await json_body(request)
    _data(request).save_settings({**_data(request).settings(), request.match_info["name"]: value})
    return empty()


@ROUTES.get("/userdata")
async def list_files(request: web.Request) -> web.Response:
    """Files below `dir`; `recurse`, `full_info`, `split`."""
    wish = request.query.get("dir", "")
    if not wish:
        return _text(400, "Directory not provided")
    try:
        folder = _data(request).path(wish)
    except (OutsideFolderError, ValueError):
        return _text(403, "Invalid directory")
    if not folder.exists():
        return _text(404, "Directory not found")
    found = _data(request).files(folder, recurse=_is_true(request, "recurse"))
    names = [path.relative_to(folder).as_posix() for path in found]
    if _is_true(request, "full_info"):
        return json_answer([described(path, name) for path, name in zip(found, names, strict=True)])
    if _is_true(request, "split"):
        return json_answer([[name, *name.split("/")] for name in names])
    return json_answer(names)


@ROUTES.get("/v2/userdata")
async def list_files_and_folders(request: web.Request) -> web.Response:
    """Files and folders below `path`, folders first."""
    data, wish = _data(request), request.query.get("path", "")
    try:
        folder = data.path(urllib.parse.unquote(wish), create=False)
    except (OutsideFolderError, ValueError):
        return _text(400, "Invalid path requested")
    if not folder.exists():
        return json_answer([]) if folder == data.folder else _text(404, "Requested path not found")
    if not folder.is_dir():
        return _text(400, "Requested path is not a directory")
    return json_answer([_item(path, data.folder) for path in data.everything(folder)])


def _item(path: Path, root: Path) -> dict[str, Any]:
    item: dict[str, Any] = {"name": path.name, "path": path.relative_to(root).as_posix()}
    if path.is_dir():
        return {**item, "type": "directory"}
    about = path.stat()
    return {**item, "type": "file", "size": about.st_size, "modified": about.st_mtime}


def _named(request: web.Request, part: str = "file", *, exists: bool = False) -> Path | web.Response:
    """The path that a part of the route names, or the answer if it may not be had."""
    name = request.match_info.get(part)
    if not name:
        return empty(400)
    try:
        path = _data(request).path(name)
    except (OutsideFolderError, ValueError):
        return empty(403)
    return empty(404) if exists and not path.exists() else path


@ROUTES.get("/userdata/{file}")
async def read_file(request: web.Request) -> web.StreamResponse:
    """One file, for download."""
    path = _named(request, exists=True)
    if isinstance(path, web.Response):
        return path
    kind, disposition = mimetypes.guess_type(path.name)[0] or "application/octet-stream", "attachment"
    if path == _data(request).folder / "user.css":
        kind, disposition = "text/css", "inline"
    elif kind in ACTIVE_TYPES:
        kind = "application/octet-stream"
    headers = {"Content-Type": kind, "X-Content-Type-Options": "nosniff", "Content-Disposition": disposition}
    return web.FileResponse(path, headers=headers)


@ROUTES.post("/userdata/{file}")
async def write_file(request: web.Request) -> web.Response:
    """Write the body; `overwrite=false` refuses to replace, `full_info=true` tells more."""
    path = _named(request)
    if isinstance(path, web.Response):
        return path
    if request.query.get("overwrite") == "false" and path.exists():
        return _text(409, "File already exists")
    try:
        write_whole(path, await request.read())
    except OSError:
        return web.Response(status=400, reason="Invalid filename")
    return _told(request, path)


def _told(request: web.Request, path: Path) -> web.Response:
    name = path.relative_to(_data(request).folder).as_posix()
    return json_answer(described(path, name) if _is_true(request, "full_info") else name)


@ROUTES.delete("/userdata/{file}")
async def delete_file(request: web.Request) -> web.Response:
    """Delete one file."""
    path = _named(request, exists=True)
    if isinstance(path, web.Response):
        return path
    path.unlink()  # a folder makes it 500, as on the real server
    return empty(204)


@ROUTES.post("/userdata/{file}/move/{dest}")
async def move_file(request: web.Request) -> web.Response:
    """Rename one file; `overwrite=false` refuses to replace."""
    path = _named(request, exists=True)
    if isinstance(path, web.Response):
        return path
    target = _named(request, "dest")
    if isinstance(target, web.Response):
        return target
    if request.query.get("overwrite") == "false" and target.exists():
        return _text(409, "File already exists")
    shutil.move(path, target)
    return _told(request, target)
