"""Every kind of error that the real server was seen to answer with, in its words and with its keys."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from runbooks.kernie.testing import RunningMock
from tests.kernie.workflows import node

SERVER = "v0.33.0"
RECORDED = json.loads((Path(__file__).parent / "recordings" / "validation-errors.json").read_text(encoding="utf-8"))
SEEN = {kind: told[SERVER] for kind, told in RECORDED.items() if SERVER in told}

EMPTY = node("EmptyImage", width=64, height=64, batch_size=1, color=0)


def saved(image: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A prompt that saves what a node gives."""
    return {"prompt": {"1": image, **more, "2": node("SaveImage", filename_prefix="x", images=["1", 0])}}


def empty(**inputs: Any) -> dict[str, Any]:
    return saved(node("EmptyImage", **{**EMPTY["inputs"], **inputs}))


def linked(images: Any) -> dict[str, Any]:
    return {"prompt": {"1": EMPTY, "2": node("SaveImage", filename_prefix="x", images=images)}}


SCALED = node("ImageScale", image=["9", 0], upscale_method="bogus", width=8, height=8, crop="disabled")
NO_INPUTS = {"class_type": "SaveImage"}
WITHOUT_WIDTH = {name: value for name, value in EMPTY["inputs"].items() if name != "width"}
# Kind of error -> a body that is answered with it.
BODIES: dict[str, Any] = {
    "error:no_prompt": [],
    "error:prompt_no_outputs": {"prompt": {}},
    "error:prompt_outputs_failed_validation": {"prompt": {"1": NO_INPUTS}},
    "error:missing_node_type": {"prompt": {"1": {}}},
    "error:invalid_prompt_id": {**linked(["1", 0]), "prompt_id": "mine"},
    "node:exception_during_validation": {"prompt": {"1": NO_INPUTS}},
    "node:exception_during_inner_validation": saved({"class_type": "EmptyImage"}),
    "node:required_input_missing": saved(node("EmptyImage", **WITHOUT_WIDTH)),
    "node:invalid_input_type": empty(width="abc"),
    "node:value_smaller_than_min": empty(width=0),
    "node:value_bigger_than_max": empty(width=999999),
    "node:bad_linked_input": linked(["1"]),
    "node:return_type_mismatch": saved(node("PrimitiveInt", value=1)),
    "node:value_not_in_list": saved(SCALED, **{"9": EMPTY}),
    "node:custom_validation_failed": saved(node("LoadImage", image="nope.png")),
    "node:dependency_cycle": {
        "prompt": {
            "2": node("SaveImage", filename_prefix="x", images=["3", 0]),
            "3": node("ImageInvert", image=["3", 0]),
        }
    },
}


@pytest.mark.parametrize("kind", list(SEEN))
def test_an_error_has_the_words_and_the_keys_of_the_real_server(kind: str, shared: RunningMock) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        shared.post("/prompt", BODIES[kind])
    assert refused.value.code == 400
    with refused.value:
        answer = json.loads(refused.value.read())
    place, _, name = kind.partition(":")
    of_nodes = [error for about in answer["node_errors"].values() for error in about["errors"]]
    (error,) = [each for each in ([answer["error"]] if place == "error" else of_nodes) if each["type"] == name]
    _, message, details, keys = SEEN[kind]
    assert (error["message"], sorted(error["extra_info"])) == (message, keys)
    # The recorder cut long details.
    assert error["details"].startswith(details)
    assert error["details"] == details or kind == "error:invalid_prompt_id"
