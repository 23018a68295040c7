"""Nodes for which there is no recording, held to what is public of ComfyUI.

The facts in `node_facts.txt` were read in ComfyUI's own files: `nodes.py` (commit 02217e36), and of `comfy_extras`
`nodes_custom_sampler.py` (4be318aa), `nodes_sd3.py` (45e9c52c), `nodes_model_advanced.py` (691e8278), `nodes_mask.py`
(d9ac00e2), `nodes_upscale_model.py` (30a74432). The first is newer than 0.33, with one more type of CLIPLoader.
Of `nodes_flux.py` only an older one was at hand (145de463): the categories of its nodes (`-`) are not checked.

A line: name | category | inputs (`?` for optional ones; type, default, low..high, /step; or the choices) | outputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbooks.kernie.testing import running_mock

LINES = (Path(__file__).parent / "node_facts.txt").read_text(encoding="utf-8").splitlines()


def read(name: str, given: list[Any], optional: bool) -> str:
    """An input of /object_info as the table above writes it."""
    options: dict[str, Any] = given[1] if len(given) > 1 else {}
    choices = given[0] if isinstance(given[0], list) else options.get("options")
    told = name + ("?" if optional else "") + ":"
    if choices is not None:
        return told + (",".join(map(str, choices)) or "models")
    signs = {"default": " ", "min": " ", "max": "..", "step": " /"}
    return told + str(given[0]) + "".join(f"{sign}{options[key]}" for key, sign in signs.items() if key in options)


def fact(about: dict[str, Any], with_category: bool) -> str:
    """A node of /object_info as a line of the table."""
    inputs = [
        read(name, given, group == "optional")
        for group in ("required", "optional")
        for name, given in about["input"].get(group, {}).items()
    ]
    category = about["category"] if with_category else "-"
    return " | ".join((about["name"], category, "; ".join(inputs), " ".join(about["output"])))


@pytest.fixture(scope="module")
def all_nodes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    # Its own mock: model names that other tests asked for would be among the choices.
    with running_mock(base_dir=tmp_path_factory.mktemp("facts")) as mock:
        found: dict[str, Any] = mock.get("/object_info")
        return found


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split(" | ")[0])
def test_a_node_has_the_inputs_ranges_and_defaults_of_the_real_one(line: str, all_nodes: dict[str, Any]) -> None:
    name, category = line.split(" | ")[:2]
    assert fact(all_nodes[name], category != "-") == line
