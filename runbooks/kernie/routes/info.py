"""What the server is and has: statistics, features, nodes, models."""
# ruff: noqa: ARG001 - a route gets its request, needed or not

from __future__ import annotations

import json
import sys

import psutil
from aiohttp import web

from runbooks.kernie.answers import empty, json_answer, mock_of, raw_json
from runbooks.kernie.mock import COMFYUI_VERSION

ROUTES = web.RouteTableDef()
FRONTEND_VERSION = "1.49.6"
TEMPLATES_VERSION = "0.11.44"
PACKAGES = {
    "comfyui-frontend-package": FRONTEND_VERSION,
    "comfyui-workflow-templates": TEMPLATES_VERSION,
    "comfyui-embedded-docs": "0.5.10",
    "comfy-kitchen": "0.2.31",
    "comfy-aimdo": "0.4.13",
}


@ROUTES.get("/system_stats")
async def system_stats(request: web.Request) -> web.Response:
    """Versions and memory, as a ComfyUI on CPU tells them."""
    memory = psutil.virtual_memory()
    system = {
        "os": sys.platform,
        "ram_total": memory.total,
        "ram_free": memory.available,
        "comfyui_version": COMFYUI_VERSION,
        "required_frontend_version": FRONTEND_VERSION,
        "installed_templates_version": TEMPLATES_VERSION,
        "required_templates_version": TEMPLATES_VERSION,
        "comfy_package_versions": [{"name": name, "installed": had, "required": had} for name, had in PACKAGES.items()],
        "python_version": sys.version,
        "pytorch_version": "2.13.0+cpu",
        "embedded_python": False,
        "deploy_environment": "kernie-gen",
        "argv": sys.argv,
    }
    device = {
        "name": "cpu",
        "type": "cpu",
        "index": None,
        "vram_total": memory.total,
        "vram_free": memory.available,
        "torch_vram_total": memory.total,
        "torch_vram_free": memory.available,
    }
    return json_answer({"system": system, "devices": [device]})


@ROUTES.get("/features")
async def features(request: web.Request) -> web.Response:
    """What the server can do."""
    return json_answer(mock_of(request).features())


@ROUTES.get("/object_info")
async def object_info(request: web.Request) -> web.Response:
    """All node types."""
    mock = mock_of(request)
    return json_answer({name: kind.described(mock.world) for name, kind in mock.registry.items()})


@ROUTES.get("/object_info/{name}")
async def one_object_info(request: web.Request) -> web.Response:
    """One node type, under its name; an empty object if there is none."""
    mock = mock_of(request)
    name = request.match_info["name"]
    kind = mock.registry.get(name)
    return raw_json(b"{}") if kind is None else json_answer({name: kind.described(mock.world)})


@ROUTES.get("/models")
async def model_folders(request: web.Request) -> web.Response:
    """Names of the model folders."""
    return json_answer(mock_of(request).models.folders())


@ROUTES.get("/models/{folder}")
async def models(request: web.Request) -> web.Response:
    """Names in one folder."""
    catalogue = mock_of(request).models
    folder = request.match_info["folder"]
    return json_answer(catalogue.names(folder)) if catalogue.knows(folder) else empty(404)


@ROUTES.get("/experiment/models")
async def experiment_models(request: web.Request) -> web.Response:
    """Folders with their places and extensions."""
    mock = mock_of(request)
    return json_answer(mock.models.places(mock.folders.base))


@ROUTES.get("/experiment/models/{folder}")
async def experiment_models_in(request: web.Request) -> web.Response:
    """Files of one folder."""
    catalogue = mock_of(request).models
    folder = request.match_info["folder"]
    if not catalogue.knows(folder):
        return empty(404)
    return json_answer(
        [{"name": name, "pathIndex": 0, "modified": 0, "created": 0, "size": 0} for name in catalogue.names(folder)]
    )


@ROUTES.get("/view_metadata/{folder}")
async def view_metadata(request: web.Request) -> web.Response:
    """Metadata of a model file. A mock has no model files."""
    return empty(404)


@ROUTES.get("/embeddings")
async def embeddings(request: web.Request) -> web.Response:
    """Names of the embeddings, without extension."""
    names = mock_of(request).models.names("embeddings")
    return json_answer([name.rsplit(".", 1)[0] for name in names])


@ROUTES.get("/extensions")
async def extensions(request: web.Request) -> web.Response:
    """Scripts of the frontend: none."""
    return raw_json(json.dumps([]).encode())
