"""Load node types from a user's module or file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from runbooks.kernie.errors import KernieError
from runbooks.kernie.nodes.classes import types_of
from runbooks.kernie.nodes.registry import NodeType


def load_nodes(place: str) -> list[NodeType]:
    """The node types of a module (`package.module`), a file (`nodes.py`) or a folder with an `__init__.py`.

    They are its list `NODES`, or the classes of its `NODE_CLASS_MAPPINGS`, as custom nodes for ComfyUI have it.

    Raises:
        KernieError: if it cannot be imported, or has neither.
    """
    is_path = place.endswith(".py") or Path(place).is_dir()
    module = _load_file(Path(place)) if is_path else _load_module(place)
    classes = getattr(module, "NODE_CLASS_MAPPINGS", None)
    if isinstance(classes, dict):
        return types_of(place, classes, getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", {}))
    found = getattr(module, "NODES", None)
    if not isinstance(found, list) or not all(isinstance(each, NodeType) for each in found):
        raise KernieError(
            f"{place} has neither a list NODES of node types nor NODE_CLASS_MAPPINGS.",
            "Make NODES with runbooks.kernie.nodes.registry.Nodes, or give a file of custom nodes for ComfyUI.",
        )
    return list(found)


def _load_file(path: Path) -> ModuleType:
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        raise KernieError(f"There is no file {file}.", "Give --nodes a module, a file or a folder that exists.")
    name = f"kernie_own_nodes_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise KernieError(
            f"{path} cannot be loaded: {type(error).__name__}: {error}.",
            "Mend it and start again. Modules of ComfyUI itself (folder_paths, comfy, nodes) do not exist here.",
        ) from error
    return module


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        advice = "Give --nodes a module that Python finds, or a file ending in .py."
        raise KernieError(f"{name} cannot be imported: {type(error).__name__}: {error}.", advice) from error
