"""Load node types from a user's module or file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from runbooks.kernie.errors import KernieError
from runbooks.kernie.nodes.registry import NodeType


def load_nodes(place: str) -> list[NodeType]:
    """The node types in `NODES` of a module (`package.module`) or a file (`nodes.py`).

    Raises:
        KernieError: if it cannot be imported, or has no such list.
    """
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    found = getattr(module, "NODES", None)
    if not isinstance(found, list) or not all(isinstance(each, NodeType) for each in found):
        raise KernieError(
            f"{place} has no list NODES of node types.", "Make one with runbooks.kernie.nodes.registry.Nodes."
        )
    return list(found)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise KernieError(f"There is no file {path}.", "Give --nodes a module or a file that exists.")
    name = f"kernie_own_nodes_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise KernieError(
            f"{path} cannot be loaded: {type(error).__name__}: {error}.", "Mend it and start again."
        ) from error
    return module


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        advice = "Give --nodes a module that Python finds, or a file ending in .py."
        raise KernieError(f"{name} cannot be imported: {type(error).__name__}: {error}.", advice) from error
